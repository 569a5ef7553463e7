"""tools/to_paddleclas.py: every network here becomes a file that needs only Paddle and is the same network."""

import ast
import importlib.util
import re
import shutil
import subprocess

import pytest
import yaml

from ppcls_lite.arch import ARCH
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line
from tests.suite.paddleclas import FILES, changes_of, make_checkout
from tools.suite import documents, verify
from tools.suite.architecture import LOADER, ONLY_HERE, write_architecture
from tools.suite.chains import write_chains
from tools.suite.checkout import known_networks
from tools.suite.modules import Library
from tools.suite.recipe import differences, read_recipe, write_recipe

SCRIPT = "tools/to_paddleclas.py"
ONE_OF_EACH_FILE = [
    "MixNet_S",
    "MobileNetV1_x0_25",
    "MobileNetV3_small_x0_35",
    "PPHGNetV2_B0",
    "PPHGNet_tiny",
    "ResNet18",
    "ResNet18_vd",
    "ShuffleNetV2_x0_25",
]
BASE = "{}_train_infer_python.txt"


def imported(text):
    """The outermost packages that a text imports; `.` for those of its own."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module if not node.level else "." for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] or "." for name in names}


# ------------------------------------------------------------------------------------------------- the architecture


@pytest.mark.parametrize("name", ARCH.names())
def test_a_file_needs_only_paddle(name):
    made = write_architecture({name: "https://example.com/x.pdparams"})
    assert imported(made.text) <= {"paddle", "math", "typing", "."}
    assert made.text.count(LOADER) == 1
    assert "ppcls_lite" not in made.text
    assert not [word for word in ONLY_HERE if re.search(rf"[ .]{word} = |def {word}\b|^ +{word}:", made.text, re.M)]
    assert f'"{name}":\n    "https://example.com/x.pdparams"' in made.text
    assert f"def {name}(pretrained=False, use_ssld=False, **options):" in made.text
    assert "\n\n\n\n" not in made.text
    assert made.notes == ()


@pytest.mark.parametrize("name", ONE_OF_EACH_FILE)
def test_it_is_the_same_network(name):
    assert verify.compare(write_architecture({name: ""}).text, name, {"class_num": 7}, 64) > 100


def test_every_file_of_networks_is_tried():
    files = {ARCH.get(name).__module__ for name in ONE_OF_EACH_FILE}
    assert files == {ARCH.get(name).__module__ for name in ARCH.names()}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("nn.Linear(channels, class_num", "nn.Linear(channels, class_num + 1", ("entry fc.weight", "[256, 8]")),
        ("self.avg_pool = ", "self.other = nn.Linear(1, 1); self.avg_pool = ", ("other.weight", "the new file only")),
        ("self.fc = nn.Linear", "self.head_fc = nn.Linear", ("fc.weight", "ours only")),
        ("int(_STEM * scale)", "int(_STEM * scale) + 8", ("entry conv.conv.weight",)),
        ("weight_attr=ParamAttr(initializer=KaimingNormal())", "weight_attr=None", ("initialised otherwise",)),
        ("learning_rate=lr_mult)", "learning_rate=lr_mult * 2)", ("trained otherwise", "2.0")),
        ("x = step(x)", "x = step(x) * 1.001", ("logits of both networks differ",)),
        ("x = step(x)", "x = step(x) * 0.0", ("logits of both networks differ",)),
    ],
)
def test_another_network_is_found(old, new, words):
    text = write_architecture({"MobileNetV1_x0_25": ""}).text
    assert old in text
    with pytest.raises(UserError) as caught:
        verify.compare(text.replace(old, new), "MobileNetV1_x0_25", {"class_num": 7}, 64)
    for word in words:
        assert word in str(caught.value)


def test_networks_of_one_file_share_it():
    made = write_architecture({"MixNet_S": "", "MixNet_L": ""})
    assert made.text.count("class MixNet(") == 1
    assert made.text.count("_load_pretrained(pretrained, model") == 3
    assert made.file == "mixnet.py"
    with pytest.raises(UserError, match=r"expected networks of one file, found ResNet18 outside of mixnet\.py"):
        write_architecture({"MixNet_S": "", "ResNet18": ""})


FORMS = """
import paddle
from paddle import nn

from ppcls_lite.arch import layers
from ppcls_lite.arch.registry import ARCH


def ConvBN(channels):
    return nn.Conv2D(3, channels, 3)


class _Base(nn.Layer):
    '''A network without a trunk.'''

    channels = 8
    classifier = "fc"

    def __init__(self, class_num=1000):
        super().__init__()
        self.stem = ConvBN(type(self).channels)
        self.block = layers.ConvBN(8, 8, 3)
        self.fc = nn.Linear(8, class_num)

    def forward(self, x):
        return self.fc(paddle.mean(self.block(self.stem(x)), axis=[2, 3]))


@ARCH.register
class FormClass(_Base):
    def __init__(self, class_num=1000):
        super(FormClass, self).__init__(class_num)
        assert FormClass.channels == 8


@ARCH.register
def FormBody(class_num=1000, **options):
    if class_num < 2:
        return None
    return FormClass(class_num, **options)


@ARCH.register
def FormArguments(class_num=1000):
    '''One return, and no **.'''
    return FormClass(class_num=class_num)
"""


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """A Library with the module `FORMS`, whose networks are registered while the tests of this module run."""
    root = tmp_path_factory.mktemp("forms")
    shutil.copytree(ROOT / "ppcls_lite", root / "ppcls_lite", ignore=shutil.ignore_patterns("__pycache__"))
    path = root / "ppcls_lite/arch/forms.py"
    path.write_text(FORMS)
    before = dict(ARCH._entries)
    spec = importlib.util.spec_from_file_location("ppcls_lite.arch.forms", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield Library(root)
    ARCH._entries.clear()
    ARCH._entries.update(before)


@pytest.mark.parametrize("name", ["FormClass", "FormBody", "FormArguments"])
def test_every_form_of_a_network(forms, name):
    text = write_architecture({name: ""}, forms).text
    assert "def layers_ConvBN" not in text
    assert "class layers_ConvBN(nn.Layer):" in text
    assert "classifier" not in text
    assert verify.compare(text, name, {"class_num": 5}, 32) == 9
    assert f"def {name}(" in text


def test_a_network_that_does_not_build_is_one_line():
    text = write_architecture({"MobileNetV1_x0_25": ""}).text.replace("return self.fc(", "return self.fc2(")
    with pytest.raises(UserError, match="MobileNetV1_x0_25: cannot be built from the new file: NameError"):
        verify.compare(text.replace("_STEM = 32", ""), "MobileNetV1_x0_25", {"class_num": 7}, 64)


# --------------------------------------------------------------------------------------------------- YAML and configs


def test_a_recipe_is_readable_and_for_imagenet(tmp_path):
    config, changes = read_recipe(ROOT / "ppcls_lite/configs/lite_data.yaml", "MyNet", False)
    text = write_recipe(config)
    path = tmp_path / "MyNet.yaml"
    path.write_text(text)
    read = load_config(path)
    assert read["Arch"] == {"name": "MyNet", "class_num": 1000}
    assert read["Global"]["device"] == "gpu"
    assert read["DataLoader"]["Train"]["dataset"]["image_root"] == "./dataset/ILSVRC2012/"
    assert "lite_data" not in text
    assert "mean: [0.485, 0.456, 0.406]\n" in text
    assert "shuffle: True\n" in text
    assert "Arch.class_num: 6 -> 1000" in changes
    assert differences(read, yaml.safe_load(text)) == []
    read["Optimizer"]["lr"]["learning_rate"] = 9
    assert differences(read, yaml.safe_load(text)) == [("Optimizer.lr.learning_rate", "9", "0.02")]


def test_a_detector_has_no_place(tmp_path):
    with pytest.raises(UserError, match=r"Arch.Backbone: expected the config of one classifier"):
        read_recipe(ROOT / "ppcls_lite/configs/detection/centernet_lite.yaml", "X", False)


def test_a_config_keeps_what_is_the_networks_own(tmp_path):
    source = (ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt").read_text()
    name, more = "-o Arch.name=MobileNetV3_small_x1_0", "-o Optimizer.lr.learning_rate=0.01"
    source = source.replace(f"{name}|", f"{name} {more} -o DataLoader.Train.sampler.batch_size=4|", 1)
    (tmp_path / "train_infer_python.txt").write_text(source)
    (tmp_path / "train_amp_infer_python.txt").write_text("")
    texts, notes = write_chains(tmp_path, "MyNet", "ppcls/configs/ImageNet/MyNet/MyNet.yaml", 90, 128, "")
    lines = dict(line.split(":", 1) for line in texts[BASE.format("MyNet")].splitlines() if ":" in line)
    assert lines["-o Global.epochs"] == "lite_train_lite_infer=2|whole_train_whole_infer=90"
    assert lines["norm_train"].endswith(" -o Optimizer.lr.learning_rate=0.01")
    assert "DataLoader.Train.sampler.batch_size" not in lines["norm_train"]
    assert lines["infer_quant"] == "False"
    assert lines["pretrained_model_url"] == "null"
    assert lines["random_infer_input"] == "[{float32,[3,128,128]}]"
    assert "=whole" not in texts[BASE.format("MyNet")]
    assert any("expected values" in note for note in notes)
    assert any("train_amp_infer_python.txt" in note for note in notes)


def test_a_config_of_another_dialect_is_refused(tmp_path):
    (tmp_path / "train_infer_python.txt").write_text("model_name:X\ngpu_list:0\n")
    with pytest.raises(UserError, match="expected a line 'norm_train:' as in PaddleClas's dialect"):
        write_chains(tmp_path, "X", "x.yaml", 1, 224, "")
    with pytest.raises(UserError, match="no such config; --tipc"):
        write_chains(tmp_path / "none", "X", "x.yaml", 1, 224, "")


# -------------------------------------------------------------------------------------------------------- the command


def test_into_a_new_folder(run_here, tmp_path):
    folder = tmp_path / "made"
    done = run_here(SCRIPT, "-m", "MixNet_S", "--output", folder, "--top1", "0.7628", "--top5", "0.9299")
    assert done.status == 0, done.err
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "PULL_REQUEST.md",
        "docs/en/models/MixNet_en.md",
        "docs/zh_CN/models/ImageNet1k/MixNet.md",
        "ppcls/arch/backbone/model_zoo/mixnet.py",
        "ppcls/configs/ImageNet/MixNet/MixNet_S.yaml",
        "test_tipc/configs/MixNet/MixNet_S_linux_gpu_normal_normal_paddle2onnx_python_linux_cpu.txt",
        "test_tipc/configs/MixNet/MixNet_S_linux_gpu_normal_normal_serving_python_linux_gpu_cpu.txt",
        "test_tipc/configs/MixNet/MixNet_S_train_infer_python.txt",
    }
    assert "note: PaddleClas has MixNet_S already: ppcls/arch/backbone/model_zoo/mixnet.py" in done.out
    assert "from .model_zoo.mixnet import MixNet_S" in (folder / "PULL_REQUEST.md").read_text()
    assert "MixNet_S_pretrained.pdparams" in (folder / "ppcls/arch/backbone/model_zoo/mixnet.py").read_text()
    for page in ("docs/en/models/MixNet_en.md", "docs/zh_CN/models/ImageNet1k/MixNet.md"):
        assert "| MixNet_S | 0.7628 | 0.9299 | 224 | 252.977 | 4.167 |" in (folder / page).read_text()
    assert "347 entries" in done.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-m", "MixNet_X"], ("unknown network 'MixNet_X'", "MixNet_S")),
        (["-m", "ResNet18"], ("-c", "ResNet18.yaml", "MobileNetV3_small_x1_0.yaml")),
        (["-m", "MixNet_S", "--tipc", "docs"], ("docs/train_infer_python.txt", "no such config")),
        (["-m", "MixNet_S", "--tipc", "test_tipc/configs/mobilenet_v3_small"], ("expected a line",)),
        (["-m", "MixNet_S", "--top1", "76.28"], ("--top1", "76.28")),
        (["-m", "MixNet_S", "-o", "Arch.dropout=1"], ("dropout",)),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run_here, tmp_path, options, words):
    done = run_here(SCRIPT, *options, "--output", tmp_path / "made")
    assert_one_line(done, *words)
    assert not (tmp_path / "made").exists()


def test_a_folder_in_use_is_left_alone(run_here, tmp_path):
    (tmp_path / "mine").write_text("")
    assert_one_line(run_here(SCRIPT, "-m", "MixNet_S", "--output", tmp_path), "expected a new or empty folder")


def test_a_known_network_gets_what_is_missing(run_here, tmp_path):
    checkout = make_checkout(tmp_path / "PaddleClas")
    done = run_here(SCRIPT, "-m", "MixNet_S", "--into", checkout)
    assert done.status == 0, done.err
    assert set(changes_of(checkout).values()) == {"??"}
    assert {path.rpartition("/")[0] for path in changes_of(checkout)} == {"test_tipc/configs/MixNet"}
    assert "kept: ppcls/configs/ImageNet/MixNet/MixNet_S.yaml (it is there already)" in done.out
    assert "\n    Global.seed: - here, 7 there\n" in done.out
    assert "mixnet.py: its MixNet_S could not be built here to compare entries" in done.out


def test_a_folder_that_is_no_checkout(run_here, tmp_path):
    assert_one_line(run_here(SCRIPT, "-m", "MixNet_S", "--into", tmp_path), "expected the root of a checkout")


def test_lists_of_an_unknown_form_are_left_to_the_author():
    measured = [documents.Measured("X", 1, 2, 224, None, None, "")]
    text = FILES["docs/zh_CN/models/ImageNet1k/README.md"]
    assert documents.add_to_list(text.replace("Others", "Rest"), "X", measured) is None
    assert documents.add_to_index("models\n", "X") is None
    assert documents.add_to_list(text, "X", measured).count('<a name="X"></a>') == 1


def test_the_networks_of_the_snapshot():
    known = known_networks()
    assert known["MobileNetV3_small_x1_0"] == "legendary_models/mobilenet_v3.py"
    assert len(known) > 350


def test_the_chain_of_this_repository_reads_the_config(tmp_path):
    """Written for PaddleClas: our reader finds its dialect, and a command for every step."""
    checkout = make_checkout(tmp_path / "PaddleClas")
    texts, _ = write_chains(ROOT / "test_tipc/configs/MixNet_S", "MixNet_S", "ppcls/x.yaml", 120, 224, "")
    for name, text in texts.items():
        (checkout / name).write_text(text)
    done = subprocess.run(
        [
            *("bash", str(ROOT / "test_tipc/test_train_inference_python.sh"), BASE.format("MixNet_S")),
            *("lite_train_lite_infer", "--project", str(checkout), "--dry_run"),
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# dialect paddleclas, model MixNet_S, mode lite_train_lite_infer\n")
    for step in ("train", "evaluate", "export", "infer cpu"):
        assert re.search(rf"^{step}[^:]*: \(in \S+\) ", done.stdout, re.MULTILINE), done.stdout
