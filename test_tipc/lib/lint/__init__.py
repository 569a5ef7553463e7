"""The checks of lint_config.sh: run_lint.py has the configs read by the chains' own readers, and runs these on them."""
