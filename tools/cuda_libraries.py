#!/usr/bin/env python3
"""Let Paddle find the CUDA libraries of pip packages (requirements-cuda.txt), and say what cannot be loaded.

    python tools/cuda_libraries.py
    export LD_LIBRARY_PATH=$(python tools/cuda_libraries.py)

paddlepaddle-gpu 2.6.2 opens libcublas.so, libcudnn.so and so on; the packages have libcublas.so.11, libcudnn.so.8. This
makes links without a version in --links, and prints the value of LD_LIBRARY_PATH: that folder, those of the packages,
and what the variable has already. On standard error there is a line for each library; no GPU is needed.
Exit code: 0 Paddle's own libraries can all be loaded (TensorRT and NCCL may be missing), 1 one cannot be, or the links
cannot be made.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.errors import UserError, run_main

LIBRARIES = {  # what Paddle opens: the package that brings it
    "libcublas.so": "nvidia-cublas-cu11",
    "libcublasLt.so": "nvidia-cublas-cu11",
    "libcudnn.so": "nvidia-cudnn-cu11",
    "libcufft.so": "nvidia-cufft-cu11",
    "libcurand.so": "nvidia-curand-cu11",
    "libcusolver.so": "nvidia-cusolver-cu11",
    "libcusparse.so": "nvidia-cusparse-cu11",
    "libnvrtc.so": "nvidia-cuda-nvrtc-cu11",
    "libnccl.so": "nvidia-nccl-cu11",
    "libnvinfer.so": "tensorrt",
    "libnvinfer_plugin.so": "tensorrt",
}
OPTIONAL = {"libnccl.so": "for several GPUs", "libnvinfer.so": "for TensorRT", "libnvinfer_plugin.so": "for TensorRT"}
LOAD = """
import ctypes, sys
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
        print()
    except OSError as error:
        print(str(error).replace(chr(10), " "))
"""


def folders_of(site_packages):
    """The folders with libraries of NVIDIA's packages below there."""
    return sorted(site_packages.glob("nvidia/*/lib")) + [path for path in [site_packages / "tensorrt"] if path.is_dir()]


def make_links(folders, links):
    """Link every `libx.so.N` of these folders as `libx.so` in `links`, if Paddle opens that; replaces what is there."""
    try:
        links.mkdir(parents=True, exist_ok=True)
        for file in (file for folder in folders for file in sorted(folder.glob("lib*.so.*"))):
            name = file.name.partition(".so.")[0] + ".so"
            if name in LIBRARIES:
                (links / name).unlink(missing_ok=True)
                (links / name).symlink_to(file)
    except OSError as error:
        raise UserError(f"--links {links}: cannot be written ({error.strerror})") from error


def why_not_loaded(names, path):
    """{name: why it cannot be loaded, empty when it can}, tried in a new process: the variable is read at its start."""
    command = [sys.executable, "-c", LOAD, *names]
    done = subprocess.run(
        command, env={**os.environ, "LD_LIBRARY_PATH": path}, capture_output=True, text=True, check=True
    )
    return dict(zip(names, done.stdout.split("\n")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = sysconfig.get_path("purelib")
    parser.add_argument(
        "--site_packages", action="append", type=Path, help=f"of the packages, may be repeated; {usual}"
    )
    parser.add_argument("--links", type=Path, default=Path(sys.prefix) / "lib/cuda_links", help="default: %(default)s")
    args = parser.parse_args()
    folders = [folder.resolve() for place in args.site_packages or [Path(usual)] for folder in folders_of(place)]
    make_links(folders, args.links.resolve())
    path = ":".join(
        filter(None, [str(args.links.resolve()), *map(str, folders), os.environ.get("LD_LIBRARY_PATH", "")])
    )
    missing = 0
    for name, reason in why_not_loaded(list(LIBRARIES), path).items():
        print(f"{name}: {reason or 'can be loaded'}{describe(name) if reason else ''}", file=sys.stderr)
        missing += bool(reason) and name not in OPTIONAL
    print(path)
    return 1 if missing else 0


def describe(name):
    """What to do about a missing library."""
    return f" ({OPTIONAL.get(name, 'needed')}; pip install --no-deps {LIBRARIES[name]}, see requirements-cuda.txt)"


if __name__ == "__main__":
    run_main(main)
