"""Print the versions that a log must name to be believed, on one line, without importing any package.

    python test_tipc/lib/versions.py

Where Paddle and Python are no certified pair, a second line begins with `note: ` and says what is known about them.
Exit code: 0, 1 when they cannot be printed.
"""

import argparse
import platform
from importlib import metadata

from known_versions import note_on
from script import run_main

PADDLES = ("paddlepaddle", "paddlepaddle-gpu")
PACKAGES = (*PADDLES, "numpy", "opencv-python", "opencv-python-headless")
PACKAGES += ("paddle-serving-server", "paddle-serving-server-gpu")


def find_versions():
    """{package: version} of those of PACKAGES that are installed, in their order."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=formatter).parse_args()
    python, found = platform.python_version(), find_versions()
    print(", ".join([f"Python {python}", *(f"{package} {version}" for package, version in found.items())]))
    for package in PADDLES:
        if package in found:
            note = note_on(found[package], ".".join(python.split(".")[:2]), gpu=package != PADDLES[0])
            print(f"note: {note}\n" if note else "", end="")


if __name__ == "__main__":
    run_main(main)
