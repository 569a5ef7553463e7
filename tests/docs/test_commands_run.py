"""Every document without a test of its own: its commands run in their order, in a copy of the repository.

What a block shows as its output is what it prints, and a document that a command updates stays as it is. A training has
one epoch. The commands that are not run are those of NOT_RUN, with the test that runs the same scripts or the reason
why none can.
"""

import re
import shlex
import shutil
from typing import NamedTuple

import pytest

from tests.docs.test_bilingual import BETWEEN
from tests.docs.test_every_command import BLOCK, PLACES, RUN, documents
from tests.helpers.documents import comparable
from tests.helpers.scripts import ROOT
from tests.helpers.shell import copy_tree
from tests.helpers.warm_shell import WarmShell

CHAIN = r"(?!.*--dry_run)"  # minutes each; test_every_command.py has every one planned, with its very config
NOT_RUN = {  # {pattern: the test that runs such a command, or the reason why none does}
    rf"bash test_tipc/test_train_inference_python\.sh{CHAIN}": "tests/chain/test_driver_real.py",
    rf"bash test_tipc/test_serving\.sh{CHAIN}": "tests/serving/test_driver.py",
    rf"bash test_tipc/test_serving_infer_cpp\.sh{CHAIN}": "tests/serving/test_serving_cpp.py",
    rf"bash test_tipc/test_paddle2onnx\.sh{CHAIN}": "tests/onnx/test_onnx_driver.py",
    rf"bash test_tipc/test_lite_arm_cpu_cpp\.sh{CHAIN}": "tests/lite/test_driver.py",
    rf"bash test_tipc/test_inference_cpp\.sh{CHAIN}": "tests/cpp/test_chain.py",
    r"bash test_tipc/diagnose\.sh": "tests/diagnosis/test_script.py",
    r"bash test_tipc/run_all\.sh|test_tipc/output/(matrix\.txt|\.run_all)": "tests/chain/test_run_all.py",
    r"prepare\.sh .* cpp_infer": "tests/cpp/test_chain.py",
    r"prepare\.sh .* lite_arm_cpu_cpp": "tests/lite/test_prepare.py",
    # they read what a chain or a whole training has left
    r"compare_results\.py": "tests/chain/test_compare_results.py",
    # services, which wait for clients
    r"classification_web_service\.py": "tests/serving/test_service.py",
    r"recognition_web_service\.py": "tests/serving/test_recognition.py",
    r"detection_web_service\.py": "tests/serving/test_detection.py",
    r"pipeline_(http|rpc)_client\.py": "tests/serving/test_clients.py",
    r"^curl .*/v2/models/": "tests/serving/test_open_inference.py",
    r"run_cpp_serving\.sh|test_cpp_serving_client\.py|SERVING_BIN=/path": "tests/serving/test_serving_cpp.py",
    r"convergence\.py": "tests/chain/test_convergence.py",
    r"compare_engines\.py .*lite_data_64": "tests/infer/test_compare.py",
    r"quant_post_static": "tests/chain/test_quantised.py",
    # several processes
    r"--backend=gloo": "tests/train/test_processes.py",
    r"--ips=.*192|--gpus=.*PPHGNetV2_B4": "needs GPUs; without: tests/docs/test_documented_commands.py",
    r"--gpus=0,1,2,3 tools/train\.py|CUDA_VISIBLE_DEVICES=0,1,": "needs GPUs",
    r"^sudo ": "tests/train/test_two_machines.py",
    r"rehearse_rolling\.py": "tests/serving/test_rehearse.py",
    # data sets that nobody has here
    r"tools/train\.py .*(configs/ImageNet/|centernet_coco)": "tests/train/test_official_configs.py",
    r"tools/train\.py .*centernet_stamps": "tests/train/test_detection_training.py",
    r"compare_engines\.py .*centernet_stamps": "tests/infer/test_detection.py",
    r"make_det_data\.py": "tests/data/test_make_det_data.py",
    r"tools/train\.py .*arcface_stamps": "tests/train/test_recognition_training.py",
    r"--model_name=ResNet50": "tests/quick/test_command.py",
    # minutes to hours of measuring
    r"deploy/paddleserving/benchmark\.py": "tests/serving/test_engine_choice.py",
    r"load_report\.py": "tests/serving/test_open_loop.py",
    r"deploy/cpp/latency\.py": "measures a program that is built with a compiler; tests/cpp build and run it",
    r"train_centernets\.sh": "tests/chain/test_train_centernets.py",
    r"train_arcface\.sh": "tests/chain/test_train_centernets.py",
    r"det_table\.py --measure": "tests/docs/test_det_table.py",
    r"rec_table\.py --measure": "tests/docs/test_rec_table.py",
    r"distill_table\.py --run": "tests/docs/test_distill_table.py",
    r"(int8|speed)_table\.py --measure": "measures for minutes",
    r"tests/benchmarks/": "measures for minutes",
    r"versions\.sh": "tests/chain/test_try_versions.py",
    # the system, its packages, and programs that are built
    r"/etc/ppcls_lite|/etc/systemd|^systemctl ": "tests/serving/test_systemd.py",
    r"/etc/nginx|^nginx |^openssl ": "tests/serving/test_nginx.py",
    r"^kubectl ": "tests/serving/test_kubernetes.py",
    r"^apt-get |^pip install|-m pip install|install_serving\.sh": "installs packages, as tests/run.sh does",
    r"-m venv": "makes an environment; tests/chain/test_lanes.py",
    r"tests/run\.sh": "runs these tests",
    r"^docker ": "tests/docker/test_docker.py",
    r"^cmake |^build/ppcls_infer": "tests/cpp/test_program.py",
    r"^make -C deploy/lite": "tests/lite/test_demo.py",
    r"^adb ": "tests/lite/test_device.py",
    r"\.venv-lite/": "tests/lite/test_driver.py",
    r"cuda_libraries\.py|get_cudnn_version": "needs CUDA",
    r"--project /path/to/": "needs the reader's project; tests/lint",
}
# what a training command gets in addition, so that it takes seconds
QUICK = {
    r"tools/train\.py ": " -o Global.epochs=1",
    r"tools/train\.py .*digits": " -o DataLoader.Train.dataset.cls_label_path=dataset/digits/short_list.txt",
}
# what a command that is not run would have left: {document: a command before its own}
LEFT = {
    "docs/lightweight_backbone.md": 'mkdir -p output/shuffle && ln -s "$PWD/lite_data_det" dataset/det_stamps && '
    "cp pretrain_models/CenterNet_ShuffleNetV2_x1_0.pdparams output/shuffle/best_model.pdparams",
    **dict.fromkeys(["docs/recognition.md", "docs/recognition_ch.md"], "cp -r lite_data_rec/test my_objects"),
}
DATA = ("lite_data_det", "lite_data_rec")  # beside those of copy_tree
EXITS = {r"lint_config\.sh /tmp/lint_example": 1}  # which has faults


BEGIN = "@@ "  # on standard error, before each line


class Block(NamedTuple):
    """The commands of a block in a document, and the output that is shown directly below ("": none)."""

    lines: list
    output: str


def read(text):
    """The `Block`s of a document's text: of its first half, where two languages show the same."""
    text, blocks = text.partition(BETWEEN)[0], []
    for block in BLOCK.finditer(text):
        joined = re.sub(r"\\\n\s*", "", block[1])
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
        shown = re.match(r"\n\n```text\n(.*?)```", text[block.end() :], re.DOTALL)
        blocks.append(Block([line for line in lines if line], shown[1] if shown else ""))
    return blocks


def why_not_run(line):
    """The value of NOT_RUN for a command line; None for one that is run."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), None)


BLOCKS = {name: read((ROOT / name).read_text(encoding="utf-8")) for name in documents() if name not in RUN}
BLOCKS = {name: blocks for name, blocks in BLOCKS.items() if blocks}
LINES = [line for blocks in BLOCKS.values() for block in blocks for line in block.lines]
WITH_COMMANDS = [
    name for name, blocks in BLOCKS.items() if any(not why_not_run(line) for block in blocks for line in block.lines)
]


class Ground:
    """Copies of the repository, each with the digits prepared, and a shell that runs documents in them."""

    def __init__(self, folder, shell):
        self.folder, self.shell = folder, shell
        made = shell.run(f"python tools/data/make_digits.py --output {shlex.quote(str(folder / 'digits'))}", ROOT)
        assert made.returncode == 0, made.stderr
        images = (folder / "digits/train_list.txt").read_text().splitlines(keepends=True)
        (folder / "digits/short_list.txt").write_text("".join(images[::15]))

    def tree(self, name):
        """A fresh copy, in a folder of that name."""
        (self.folder / name).mkdir()
        tree = copy_tree(self.folder / name)
        shutil.copytree(ROOT / "docs", tree / "docs")
        for path in (*DATA, "pretrain_models", "tests", "test_log", "README.md", "README_ch.md", ".ci"):
            (tree / path).symlink_to(ROOT / path)
        for path in (*ROOT.glob("requirements*.txt"), *map(ROOT.joinpath, ("LICENSE", "NOTICE", "pyproject.toml"))):
            shutil.copy(path, tree)
        (tree / "dataset").mkdir()
        (tree / "dataset/digits").symlink_to(self.folder / "digits")
        (tree / ".venv/bin").mkdir(parents=True)
        (tree / ".venv/bin/activate").write_text("")  # `python` is that of the shell already
        return tree

    def problems(self, tree, blocks):
        """What is wrong with the commands and outputs of `blocks` that are run in a tree: [a text]."""
        temporary, inside, found = f"{tree.parent}/tmp/", "", []
        (tree.parent / "tmp").mkdir()
        for block in blocks:
            entered = [line[3:] for line in block.lines if line.startswith("cd ")]
            folder = tree / inside if entered[:1] == [".."] else tree  # a block may go on where the one before ended
            run = self.shell.run(script(block).replace("/tmp/", temporary), folder)
            inside = entered[-1] if entered and entered[-1] != ".." else ""
            if run.returncode:
                found.append(f"failed: {run.stderr.rpartition(BEGIN)[2][-1500:]}")
                break
            if block.output and not all(map(why_not_run, block.lines)):
                found += differences(run.stdout.replace(temporary, "/tmp/"), block.output)
        return found


def differences(printed, shown):
    """What an output in a document does not have as it was printed: [a text]."""
    (lines, numbers), (expected, expected_numbers) = map(comparable, (printed, shown))
    if lines == expected and numbers == pytest.approx(expected_numbers, abs=2e-5):
        return []
    return [f"shown is\n{shown}\nand printed\n{printed}"]


def script(block):
    """The text for bash that runs a block: each line is announced, and ends with the exit code that it should have."""
    text = []
    for line in block.lines:
        if why_not_run(line):
            continue
        text.append(f"echo {shlex.quote(BEGIN + line)} >&2")
        line = " ".join(PLACES.get(word, word) for word in line.split(" "))
        code = next((code for pattern, code in EXITS.items() if re.search(pattern, line)), 0)
        line += "".join(words for pattern, words in QUICK.items() if re.search(pattern, line))
        text.append(f"{line}\n(($? == {code})) || exit 1")
    return "\n".join(text)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with WarmShell(folder) as shell:
        yield Ground(folder, shell)


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_commands_run_and_print_what_is_shown(ground, name):
    tree = ground.tree(name.replace("/", "_"))
    before = [Block([LEFT[name]], "")] if name in LEFT else []
    assert not ground.problems(tree, [*before, *BLOCKS[name]])
    for path in (ROOT / "docs").glob("*.md"):
        assert (tree / "docs" / path.name).read_text() == path.read_text()


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (Block(["python tools/print_features.py -m MobileNetV9"], ""), "failed: python tools/print_features.py"),
        (Block(["echo first", "false", "echo last"], ""), "failed: false"),
        (Block(["cp CONFIG /tmp/lint_example", "bash test_tipc/lint_config.sh /tmp/lint_example"], ""), "lint_config"),
        (Block(["python tools/list_parts.py optimizers | head -n 1"], "optimizers: none\n"), "shown is"),
        (Block(["echo top1: 0.98"], "top1: 0.99\n"), "shown is"),
    ],
)
def test_a_wrong_command_or_output_would_be_seen(ground, block, problem, request):
    (found,) = ground.problems(ground.tree(f"wrong{abs(hash(request.node.name))}"), [block])
    assert problem in found


def test_every_exception_is_used_and_names_what_there_is():
    for pattern, why in NOT_RUN.items():
        assert any(re.search(pattern, line) for line in LINES), pattern
        for path in re.findall(r"tests/\S+\.py", why):
            assert (ROOT / path).is_file(), path
    assert set(LEFT) <= set(BLOCKS)
    assert len([line for line in LINES if not why_not_run(line)]) > 90
