"""A chain of deployment that needs what this machine does not have is skipped: exit code 77, with the reason."""

import subprocess

import pytest

from tests.helpers.scripts import ROOT

COMMON = f'source "{ROOT}/test_tipc/common_func.sh"\n'


def bash(script, cwd):
    return subprocess.run(["bash", "-c", COMMON + script], cwd=cwd, capture_output=True, text=True)


def test_cpp_names_the_packages(tmp_path):
    script = f"""
        source "{ROOT}/test_tipc/lib/prepare_cpp.sh"
        has_header() {{ return 1; }}
        prepare_cpp
    """
    done = bash(script, tmp_path)
    assert done.returncode == 77, done
    packages = "libopencv-dev libyaml-cpp-dev"
    assert packages in done.stdout
    assert done.stdout.startswith("skipped: C++ inference needs ")
    assert "apt-get install --no-install-recommends" in done.stdout
    assert done.stdout.count("\n") == 1


def test_onnx_names_the_python(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.13\n")
    python.chmod(0o755)
    script = f"""
        source "{ROOT}/test_tipc/lib/prepare_onnx.sh"
        TIPC_PYTHON={python}
        prepare_onnx
    """
    done = bash(script, tmp_path)
    assert done.returncode == 77, done
    assert done.stdout.startswith("skipped: Paddle2ONNX has wheels for Python 3.9 to 3.12, and this is Python 3.13")


@pytest.mark.parametrize(("ended", "status", "result"), [(77, 77, "skipped"), (3, 1, "failed"), (0, 0, "passed")])
def test_a_chain_ends_as_its_preparation(tmp_path, ended, status, result):
    script = f"""
        STAGES=(prepare infer)
        RUN=([stage]=0 [stop_stage]=0 [output_root]={tmp_path} [model]=net [mode]=cpp_infer)
        begin_chain results.log bash -c 'exit {ended}'
    """
    done = bash(script, tmp_path)
    assert done.returncode == status, done
    last = (tmp_path / "net/cpp_infer/steps.tsv").read_text().splitlines()[-1].split("\t")
    assert last[1:3] == ["prepare", result]
