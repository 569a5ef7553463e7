"""tools/cuda_libraries.py: links under the names that Paddle opens, and a line for each library."""

from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT, assert_one_line
from tools import cuda_libraries

SCRIPT = "tools/cuda_libraries.py"


@pytest.fixture
def packages(tmp_path):
    """Folders like those of the packages, with a library that can be loaded under each name."""
    source = next(
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libc.so.6" in line or "libc-" in line
    )
    files = ["cublas/lib/libcublas.so.11", "cublas/lib/libcublasLt.so.11", "cublas/lib/libnvblas.so.11"]
    files += ["cudnn/lib/libcudnn.so.8", "cudnn/lib/libcudnn_ops_infer.so.8", "cufft/lib/libcufft.so.10"]
    files += ["curand/lib/libcurand.so.10", "cusolver/lib/libcusolver.so.11", "cusparse/lib/libcusparse.so.11"]
    files += ["cuda_nvrtc/lib/libnvrtc.so.11.2", "cuda_nvrtc/lib/libnvrtc-builtins.so.11.8"]
    for file in files:
        path = tmp_path / "site packages/nvidia" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(source)
    return tmp_path / "site packages"


def run(run_here, packages, monkeypatch, before=""):
    monkeypatch.setenv("LD_LIBRARY_PATH", before)
    links = packages.parent / "links"
    return run_here(SCRIPT, "--site_packages", packages, "--links", links), links


def test_links_and_the_value_of_the_variable(run_here, packages, monkeypatch):
    outcome, links = run(run_here, packages, monkeypatch, before="/mine")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        ":".join([str(links), *(str(path) for path in sorted(packages.glob("nvidia/*/lib"))), "/mine"])
    ]
    optional = set(cuda_libraries.OPTIONAL)
    assert {link.name for link in links.iterdir()} == set(cuda_libraries.LIBRARIES) - optional
    assert (links / "libcudnn.so").readlink() == packages / "nvidia/cudnn/lib/libcudnn.so.8"
    lines = dict(line.split(": ", 1) for line in outcome.err.splitlines())
    assert list(lines) == list(cuda_libraries.LIBRARIES)
    assert {name for name, text in lines.items() if text != "can be loaded"} == optional
    assert "for TensorRT; pip install --no-deps tensorrt" in lines["libnvinfer.so"]


def test_a_second_call_follows_a_new_version(run_here, packages, monkeypatch):
    run(run_here, packages, monkeypatch)
    old = packages / "nvidia/cudnn/lib/libcudnn.so.8"
    new = old.rename(old.with_name("libcudnn.so.9"))
    outcome, links = run(run_here, packages, monkeypatch)
    assert outcome.status == 0
    assert (links / "libcudnn.so").readlink() == new


@pytest.mark.parametrize("fault", ["missing", "no library"])
def test_a_library_that_cannot_be_loaded_fails(run_here, packages, monkeypatch, fault):
    library = packages / "nvidia/curand/lib/libcurand.so.10"
    library.unlink()
    if fault == "no library":
        library.write_text("cut short")
    outcome, _ = run(run_here, packages, monkeypatch)
    assert outcome.status == 1
    (line,) = [line for line in outcome.err.splitlines() if "(needed; " in line]
    assert line.startswith("libcurand.so: ")
    assert line.endswith("(needed; pip install --no-deps nvidia-curand-cu11, see requirements-cuda.txt)")


def test_links_that_cannot_be_made(run_here, packages, monkeypatch):
    (packages.parent / "links").write_text("a file")
    outcome, links = run(run_here, packages, monkeypatch)
    assert_one_line(outcome, f"--links {links}: cannot be written")


def test_every_package_is_pinned_and_named_in_the_document():
    text = (ROOT / "requirements-cuda.txt").read_text()
    pinned = dict(line.split("==") for line in text.splitlines() if line and line[0] != "#")
    assert set(pinned) == set(cuda_libraries.LIBRARIES.values())
    document = (ROOT / "docs/gpu.md").read_text()
    for name, package in cuda_libraries.LIBRARIES.items():
        assert any(f"`{name}`" in row and f"`{package}=={pinned[package]}`" in row for row in document.splitlines()), (
            name
        )
