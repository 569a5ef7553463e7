"""Print the versions that a log must name to be believed, on one line, without importing any package.

    python test_tipc/lib/versions.py

Exit code: 0, 1 when they cannot be printed.
"""

import argparse
import platform
from importlib import metadata

from script import run_main

PACKAGES = ("paddlepaddle", "paddlepaddle-gpu", "numpy", "opencv-python", "opencv-python-headless")
PACKAGES += ("paddle-serving-server", "paddle-serving-server-gpu")


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=formatter).parse_args()
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    print(", ".join(found))


if __name__ == "__main__":
    run_main(main)
