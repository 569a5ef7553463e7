"""The trained network against the exported model without optimisation, operator by operator."""
