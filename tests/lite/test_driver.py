"""test_lite_arm_cpu_cpp.sh: a whole run, what cannot be run here, plans of the official configs, and planted faults."""

import json
import os
import shutil
import tarfile

import pytest

from tests.helpers.shell import CONFIGS, OFFICIAL, Chain, assert_one_error, bash, copy_tree

MODE = "lite_arm_cpu_cpp"
SETTING = "precision_FP32 batchsize_{} threads_{}"


class Lite(Chain):
    """A config of the chain, and the driver that runs it where no device is attached."""

    def __init__(self, tree, folder, lite_python=None):
        self.tree, self.folder = tree, folder
        self.own = {"TIPC_LITE_PYTHON": lite_python} if lite_python else {}
        (folder / "bin").mkdir()
        (folder / "bin/adb").write_text("#!/bin/sh\necho 'List of devices attached'\n")
        (folder / "bin/adb").chmod(0o755)
        self.text = (CONFIGS / "lite_arm_cpu_cpp.txt").read_text()
        self.path = folder / "lite_arm_cpu_cpp.txt"

    def environment(self, **more):
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return super().environment(PATH=path, **{**self.own, **more})

    def output(self, mode=None):
        return super().output(MODE)

    def command(self, *options, mode=None, config=None):
        self.path.write_text(self.text)
        script = str(self.tree / "test_tipc/test_lite_arm_cpu_cpp.sh")
        return ["bash", script, str(config or self.path), MODE, *options]

    def run(self, *options, **more):
        return super().run(*options, mode=MODE, **more)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported):
    """A checkout with the exported model where the official configs expect it."""
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported.model, tree / "deploy/models/small_net_infer")
    return tree


@pytest.fixture
def chain(tree, tmp_path, lite_python):
    return Lite(tree, tmp_path, lite_python)


@pytest.fixture
def quick_chain(tree, chain):
    """`chain` without the check of the demo, which compiles it."""
    script = tree / "deploy/lite/check_demo.py"
    script.rename(script.with_suffix(".kept"))
    yield chain
    script.with_suffix(".kept").rename(script)


# ------------------------------------------------------------------------------------------------------- it works


def test_a_whole_run(chain):
    chain.set("--batch_size_list", "1|4").set("--num_threads_list", "1|2").set("--precision_list", "FP32|INT8")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    results = run.results
    for name in ("convert demo", "convert program", "convert arm", "convert x86", "agree weights"):
        assert results[name] == "passed"
    for batch_size in (1, 4):
        for step in ("infer x86", "agree x86"):
            assert results[f"{step} {SETTING.format(batch_size, 1)}"] == "passed"
        assert results[f"infer x86 {SETTING.format(batch_size, 2)}"] == "skipped"
        assert f"agree x86 {SETTING.format(batch_size, 2)}" not in results
    assert results["infer x86 precision_INT8 batchsize_1 threads_1"] == "skipped"
    assert results["infer arm"] == "skipped"
    assert results["agree demo"] in ("passed", "skipped")  # without a compiler for ARM
    assert "agree arm" not in results
    last = run.out.splitlines()[-1]
    assert last.startswith("passed: ")
    assert last.endswith("and all predictions of the x86 twin agree; the model for ARM was NOT run here")
    summary = json.loads((run.folder / "summary.json").read_text())
    assert "paddlelite" in summary["versions"]
    assert {path.name for path in run.folder.glob("*.nb")} == {"small_net.nb", "small_net_x86.nb"}
    assert "clas_model_file small_net.nb\n" in (run.folder / "demo/config.txt").read_text()


def test_another_project_needs_an_exported_model_and_images_only(quick_chain, tmp_path):
    chain = quick_chain
    project = tmp_path / "their project"
    shutil.copytree(chain.tree / "deploy/models/small_net_infer", project / "export")
    (project / "export/inference.yml").unlink()
    shutil.copytree(chain.tree / "test_images", project / "pictures")
    chain.text += "inference_model_dir:export\ninfer_imgs:pictures\n"
    run = chain.run("--project", str(project))
    assert run.status == 0, run.out + run.err
    assert run.results["convert demo"] == "skipped"
    assert run.results["agree demo"] == "skipped"
    assert run.results[f"agree x86 {SETTING.format(1, 1)}"] == "passed"
    assert run.results["agree weights"] == "passed"
    assert sorted(path.name for path in project.iterdir()) == ["export", "pictures"]


# ------------------------------------------------------------------------------------------- what cannot be run here


def test_without_an_interpreter_for_paddle_lite_all_is_skipped(tree, tmp_path):
    chain = Lite(tree, tmp_path)
    for name in ("python3.10", "python3.9", "python3.8", "python3", "python"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    run = chain.run(HOME=str(tmp_path), PYENV_ROOT=str(tmp_path), XDG_DATA_HOME=str(tmp_path))
    assert run.status == 77, run.out + run.err
    assert "note: no Python from 3.8 to 3.10, which Paddle Lite's packages need" in run.out
    assert run.out.splitlines()[-1].startswith("skipped: no Python from 3.8 to 3.10")
    assert run.results["convert"] == "skipped"


def test_a_model_in_the_new_format_is_skipped(chain, exported_json, tmp_path):
    chain.text += f"inference_model_dir:{exported_json}\n"
    run = chain.run()
    assert run.status == 77, run.out + run.err
    assert run.out.splitlines()[-1].startswith("skipped: Paddle Lite reads .pdmodel, and the model is inference.json")


def test_an_interpreter_without_paddle_lite_is_an_error(chain):
    run = chain.run(TIPC_LITE_PYTHON="/bin/false")
    assert run.status == 1
    assert "TIPC_LITE_PYTHON=/bin/false: no Python interpreter with Paddle Lite; install it with: " in run.err


# ---------------------------------------------------------------------------------------------------- planted faults


def test_a_twin_of_other_weights_disagrees(quick_chain):
    chain = quick_chain
    assert chain.run().status == 0
    model = chain.output() / "small_net_x86.nb"
    content = bytearray(model.read_bytes())
    place = len(content) - 4000  # in the last layer's weights
    content[place : place + 1200] = bytes(1200)
    model.write_bytes(content)
    run = chain.run("--stage", "3")
    assert run.status == 1, run.out
    assert run.results[f"agree x86 {SETTING.format(1, 1)}"] == "failed"
    assert run.results["agree weights"] == "failed"
    assert "error: x86: largest difference" in run.out


def test_an_arm_model_as_the_twin_fails(quick_chain):
    chain = quick_chain
    assert chain.run("--stop_stage", "2").status == 0
    shutil.copy(chain.output() / "small_net.nb", chain.output() / "small_net_x86.nb")
    run = chain.run("--stage", "3")
    assert run.status == 1, run.out
    assert run.results[f"infer x86 {SETTING.format(1, 1)}"] == "failed"
    assert "return stray memory" in run.out
    assert "x86 twin agree" not in run.out


def test_another_mean_in_the_config_of_the_demo_fails(chain):
    assert chain.run().status == 0
    if chain.run("--stage", "4").results["agree demo"] != "passed":
        pytest.skip("no compiler for ARM, or no emulator")
    config = chain.output() / "demo/config.txt"
    config.write_text(config.read_text().replace("mean 0.485", "mean 0.5"))
    run = chain.run("--stage", "4")
    assert run.status == 1, run.out
    assert "demo/config.txt: image 0 is prepared as" in run.out
    assert run.results["agree demo"] == "failed"


# ----------------------------------------------------------------------------------------------------------- configs


def plan(config, *options):
    return bash('bash "$0/test_tipc/test_lite_arm_cpu_cpp.sh" "$@" --dry_run', config, *options)


def test_the_official_configs_can_be_planned(tmp_path):
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        members = [member for member in archive.getmembers() if "lite_arm_cpu_cpp" in member.name]
        assert len(members) == 12
        for number, member in enumerate(members):
            path = tmp_path / f"{number}.txt"
            path.write_bytes(archive.extractfile(member).read())
            run = plan(path)
            assert run.status == 0, member.name + run.err
            model = member.name.split("/")[-1].replace("_lite_arm_cpu_cpp.txt", "")
            model = model if model.endswith(tuple("0123456789dv")) else "mobilenet_v3_small"
            assert f"# dialect lite, model {model.split('.txt')[0]}, mode {MODE}\n" in run.out
            assert f"lite_program.py ./deploy/models/{model.split('.txt')[0]}_infer " in run.out


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("runtime_device:arm_cpu", "runtime_device:arm_gpu_opencl", ":1: runtime_device: expected arm_cpu, found"),
        ("--batch_size_list:1", "--batch_size_list:0", ":7: '--batch_size_list': expected numbers"),
        ("--num_threads_list:1", "--threads:1", ":6: expected 'num_threads_list:…', found '--threads:…'"),
        ("--num_threads_list:1\n", "", ":7: lite_params ends after 7 lines; expected 'precision_list' next"),
        ("--precision_list:FP32", "--precision_list:float", "expected FP32, FP16 or INT8"),
        ("inference_cmd:clas_system config.txt a.jpg", "inference_cmd:a $(b) c", "expected PROGRAM CONFIG IMAGE"),
        ("lite_arm_work_path:/data", "lite_arm_work_path:/data'; rm", "expected a folder of the device"),
        ("clas_model_file:small_net", "clas_model_file:../x", "model_name becomes a folder's name"),
        ("--precision_list:FP32\n", "--precision_list:FP32\nmore:1\n", ":9: expected inference_model_dir infer_imgs"),
        ("runtime_device:", "device:", "expected a title such as"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, old, new, expected):
    text = (CONFIGS / "lite_arm_cpu_cpp.txt").read_text()
    assert old in text
    (tmp_path / "x.txt").write_text(text.replace(old, new))
    assert_one_error(plan(tmp_path / "x.txt"), expected)


def test_a_config_of_another_chain_is_named():
    assert_one_error(plan(CONFIGS / "serving_paddleclas.txt"), "is this for another chain?")
