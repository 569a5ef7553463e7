"""Files of reprod_log, in which guides to reproduce papers compare arrays."""
