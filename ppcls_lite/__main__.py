"""`python -m ppcls_lite`, and the command `ppcls_lite` that `pip install .` makes."""

from functools import partial

from ppcls_lite import __version__
from ppcls_lite.quick import command
from ppcls_lite.utils.errors import run_main


def main():
    """Run the command, and end the process with its exit code."""
    run_main(partial(command.main, version=__version__))


if __name__ == "__main__":
    main()
