"""The C++ code, built once for all sessions: the program with sanitizers, and its parts as libraries for ctypes.

CMake compiles only what is new. Without the tools the tests are skipped, with the reason.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.scripts import LIMIT, ROOT, Outcome

SOURCES = ROOT / "deploy/cpp"
PACKAGES = "apt-get install --no-install-recommends cmake g++ libopencv-dev libyaml-cpp-dev"
HEADERS = ("opencv4/opencv2/imgcodecs.hpp", "yaml-cpp/yaml.h", "jpeglib.h")


def _folder():
    """One per checkout and user, kept between sessions."""
    name = hashlib.sha256(f"{ROOT} {os.getuid()}".encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"ppcls_cpp_tests_{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def build_folder():
    """The folder to build in."""
    missing = [name for name in ("cmake", "g++") if not shutil.which(name)]
    missing += [name for name in HEADERS if not Path("/usr/include", name).exists()]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)}: {PACKAGES}")
    return _folder()


@contextmanager
def _alone(folder):
    """One process at a time builds there."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _library(folder, name, sources, *options):
    """tests/cpp/<name>.cpp with `sources` as a shared library."""
    path = folder / f"{name}.so"
    files = [ROOT / f"tests/cpp/{name}.cpp", *sources]
    headers = [*SOURCES.glob("*/*.h")]
    newest = max(file.stat().st_mtime for file in [*files, *headers])
    with _alone(folder):
        if not path.exists() or path.stat().st_mtime < newest:
            flags = ["-O2", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
            _run("g++", *flags, f"-I{SOURCES}/common", *files, *options, "-o", path)
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="session")
def common(build_folder):
    """deploy/cpp/common as C functions, compiled as C++14 with nothing but the standard library."""
    return _library(build_folder, "common_library", sorted(SOURCES.glob("common/*.cpp")), "-std=c++14")


@pytest.fixture(scope="session")
def decoder(build_folder):
    """deploy/cpp/src/decode.cpp as C functions."""
    sources = [SOURCES / f"src/{name}.cpp" for name in ("decode", "errors", "jpeg", "jpeg_decode")]
    libraries = ["-lopencv_core", "-lopencv_imgcodecs", "-lopencv_imgproc", "-ljpeg"]
    options = ["-std=c++17", "-I/usr/include/opencv4", f"-I{SOURCES}/src", *libraries]
    return _library(build_folder, "decode_library", sources, *options)


def openvino_folder():
    """Where OpenVINO's CMake files are: OPENVINO_DIR, or in the package of this interpreter; None without both."""
    if os.environ.get("OPENVINO_DIR"):
        return os.environ["OPENVINO_DIR"]
    found = importlib.util.find_spec("openvino")
    return found and str(Path(found.origin).parent / "cmake")


@pytest.fixture(scope="session")
def program(build_folder):
    """The program, with address and undefined-behaviour sanitizers: any fault of that kind ends it."""
    where = openvino_folder()
    if where is None:
        pytest.skip("the package openvino is not installed: pip install -r requirements-engines.txt")
    build = build_folder / "build"
    options = ["-DWITH_SANITIZERS=ON", "-DWARNINGS_AS_ERRORS=ON", "-DCMAKE_BUILD_TYPE=Debug"]
    with _alone(build_folder):
        _run("cmake", "-S", SOURCES, "-B", build, f"-DOpenVINO_DIR={where}", *options)
        _run("cmake", "--build", build, "--parallel", str(os.cpu_count()))
    return build / "ppcls_infer"


@pytest.fixture
def predict(program):
    """`predict(model, images, *options, config=…)` runs the program; options are KEY=VALUE of Global, or -o words."""

    def run(model, images, *options, config="inference_cls", cwd=ROOT):
        words = [f"Global.inference_model_dir={model}", f"Global.infer_imgs={images}"]
        words += [text if "." in text.partition("=")[0] else f"Global.{text}" for text in options]
        command = [program, "-c", ROOT / f"deploy/configs/{config}.yaml"]
        command += [part for word in words for part in ("-o", word)]
        return run_program(*command, cwd=cwd)

    return run


def run_program(*command, cwd=ROOT):
    """How the program ended. Leaks are OpenVINO's own; its TBB loads libraries in another way for sanitizers."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "TBB_ENABLE_SANITIZERS": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    for fault in ("AddressSanitizer", "runtime error", "terminate called"):
        assert fault not in done.stderr, done.stderr[-4000:]
    return Outcome(done.returncode, done.stdout, done.stderr)
