"""The config of another project, from what its scripts say of themselves: they are read, and never run."""

TO_DO = "left_to_do"  # the last section of such a config: what a person has to complete; no chain reads it
