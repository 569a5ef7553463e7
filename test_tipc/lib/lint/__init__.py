"""What lint_config.sh says about configs: run_lint.py reads them through the chains' own readers and runs these checks."""
