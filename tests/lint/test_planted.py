"""Planted faults: each is found, in its line, by the check that is for it, and with what was meant."""

import re
import shutil

import pytest

from tests.helpers.scripts import ROOT
from tests.lint.conftest import PROJECT, findings

OWN = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0"
BASES = {  # the name of a config, and the file from which it is made
    "mini": PROJECT / "test_tipc/configs/MiniNet/train_infer_python.txt",
    **{path.stem: path for path in sorted(OWN.glob("*.txt"))},
}


def line(number, old, new):
    """Replace a text in a line."""

    def change(text):
        lines = text.split("\n")
        assert old in lines[number - 1], lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new)
        return "\n".join(lines)

    return change


def without(number):
    return lambda text: "\n".join(text.split("\n")[: number - 1] + text.split("\n")[number:])


def added(number, new):
    return lambda text: "\n".join([*text.split("\n")[: number - 1], new, *text.split("\n")[number - 1 :]])


# name: (base, change, line, kind, level, words); the line is that of the finding
FAULTS = {
    "fasle": ("train_infer_python", line(39, "False", "Fasle"), 39, "typing", "warning", "did you mean False?"),
    "ture": ("train_infer_python", line(41, "True", "Ture"), 41, "typing", "error", "did you mean True?"),
    "tru": ("train_infer_python", line(42, "True", "Tru"), 42, "typing", "error", "did you mean True?"),
    "upper": ("train_infer_python", line(45, "False", "FALSE"), 45, "typing", "error", "did you mean False?"),
    "fasle_option": ("mini", line(14, "train.py", "train.py --test-only=Fasle"), 14, "typing", "warning", "False?"),
    "fasle_cpp": ("inference_cpp", line(11, "False", "Flase"), 11, "typing", "error", "did you mean False?"),
    "crlf": ("mini", lambda text: text.replace("\n", "\r\n"), 1, "line-end", "error", "33 lines"),
    "bom": ("mini", lambda text: "\ufeff" + text, 1, "bom", "warning", "byte-order mark"),
    "tab": ("mini", line(6, ":", ":\t"), 6, "tab", "warning", "a tab"),
    "blank": ("mini", line(6, "90", "90 "), 6, "blank", "warning", "blanks behind the value"),
    "colon_wide": ("mini", line(4, ":", "\uff1a"), 4, "full-width", "error", "'\uff1a' (U+FF1A); expected ':'"),
    "bar_wide": ("mini", line(29, "|", "\uff5c"), 29, "full-width", "warning", "(U+FF5C)"),
    "mode": (
        "mini",
        line(6, "lite_train_lite_infer", "lite_train_lite_infr"),
        6,
        "mode",
        "error",
        "lite_train_lite_infer?",
    ),
    "mode_empty": ("mini", line(8, "=8", "="), 8, "mode", "error", "whole_train_whole_infer has no value"),
    "mode_none": ("mini", line(6, "whole_train_whole_infer=", ""), 6, "mode", "error", "an entry without a mode"),
    "mode_twice": ("mini", line(6, "whole_train_whole_infer", "lite_train_lite_infer"), 6, "mode", "error", "twice"),
    "mode_missing": (
        "mini",
        line(6, "|whole_train_whole_infer=90", ""),
        6,
        "value",
        "error",
        "whole_train_whole_infer",
    ),
    "number": ("mini", line(6, "=10", "=ten"), 6, "value", "error", "expected a whole number above 0"),
    "trainer": (
        "train_infer_python",
        line(15, "norm_train", "norm_trian"),
        15,
        "value",
        "error",
        "did you mean norm_train?",
    ),
    "precision": ("train_infer_python", line(46, "False", "fp61"), 46, "value", "error", "did you mean fp16?"),
    "gpu_list": ("mini", line(4, "-1", "cpu"), 4, "value", "error", "expected such as -1"),
    "no_value": ("mini", line(4, "-1", ""), 4, "value", "error", "no value"),
    "expected": ("train_infer_python", line(53, "0.99444+-0.003", "0,99"), 53, "value", "error", "NUMBER+-TOLERANCE"),
    "quote": ("mini", line(14, "train.py", "train.py 'a"), 14, "value", "error", "quote that is not closed"),
    "model_name": ("mini", line(2, "MiniNet", "Mini Net"), 2, "value", "error", "becomes a folder's name"),
    "entry": ("train_infer_python", line(42, "True|False", "True||False"), 42, "list", "warning", "True|False?"),
    "last_entry": ("mini", line(29, "True|False", "True|"), 29, "list", "warning", "did you mean True?"),
    "placeholder": ("mini", line(10, "latest.pdparams", "your_model.pdparams"), 10, "placeholder", "warning", "a name"),
    "placeholder_path": ("mini", line(11, "./lite_data", "/path/to/data"), 11, "placeholder", "warning", "a path"),
    "placeholder_address": ("mini", line(4, "-1", "xx.xx.xx.xx;0,1"), 4, "placeholder", "warning", "an address"),
    "placeholder_todo": ("mini", line(11, "./lite_data", "TODO"), 11, "placeholder", "warning", "a value"),
    "line_missing": ("mini", without(9), 10, "refused", "error", "train_model_name"),
    "line_added": ("train_infer_python", added(16, "amp_train:null"), 22, "ignored", "warning", "not used"),
    "key": (
        "train_infer_python",
        line(30, "norm_export", "norm_exprot"),
        30,
        "refused",
        "error",
        "did you mean norm_export?",
    ),
    "section": ("mini", line(20, "infer_params", "infer_parms"), 33, "refused", "error", "is ===infer_parms=== meant"),
    "first_section": (
        "mini",
        line(1, "train_params", "trian_params"),
        1,
        "title",
        "error",
        "did you mean train_params?",
    ),
    "more_section": (
        "mini",
        lambda text: text + "====train_benchmark====\n",
        34,
        "title",
        "warning",
        "train_benchmark_params?",
    ),
    "section_twice": (
        "mini",
        lambda text: text + "====eval_params====\neval:null\n",
        34,
        "ignored",
        "warning",
        "second",
    ),
    "no_colon": (
        "train_infer_python",
        added(52, "====train_benchmark_params====\nbatch_size=8"),
        53,
        "colon",
        "warning",
        "batch_size:",
    ),
    "benchmark_key": (
        "mini",
        lambda text: text + "====train_benchmark_params====\nbatch_sise:8\n",
        35,
        "key",
        "warning",
        "batch_size?",
    ),
    "duplicate": ("inference_cpp", added(12, "cpu_threads:1|2"), 13, "duplicate", "warning", "the same as line 12"),
    "second_key": ("inference_cpp", added(13, "cpu_threads:4"), 13, "ignored", "warning", "line 12 has '1|2'"),
    "null": ("mini", line(9, ":null", ":nul"), 9, "typing", "warning", "expected null; did you mean null?"),
    "yes": ("paddle2onnx_infer_python", line(10, "True", "Yes"), 10, "typing", "warning", "did you mean True?"),
    "swapped_key": ("train_infer_python", line(16, "name", "nmae"), 16, "yaml-key", "warning", "did you mean name?"),
    "suffix": ("paddle2onnx_infer_python", line(6, "pdmodel", "pdmodle"), 6, "typing", "warning", "mean .pdmodel?"),
    "network": ("train_infer_python", line(24, "small", "smal"), 24, "typing", "warning", "MobileNetV3_small_x1_0?"),
    "model": ("train_infer_python", line(2, "small", "smal"), 2, "typing", "warning", "mean MobileNetV3_small_x1_0?"),
    "images": ("train_infer_python", line(48, "images", "image"), 48, "missing", "warning", "mean ../test_images?"),
    "images_cpp": ("inference_cpp", line(16, "images", "imgaes"), 16, "missing", "warning", "mean ./test_images?"),
    "yaml_cpp": ("inference_cpp", line(9, "cls.yaml", "clas.yaml"), 9, "missing", "warning", "inference_cls.yaml?"),
    "yaml_onnx": (
        "paddle2onnx_infer_python",
        line(16, "_cls", "_csl"),
        16,
        "missing",
        "warning",
        "inference_cls.yaml?",
    ),
    "client_cpp": ("serving_infer_cpp", line(14, "client", "clinet"), 14, "missing", "error", "serving_client.py?"),
    "behind_null": (
        "train_infer_python",
        line(13, "null:null", "null:-o Global.seed=1"),
        13,
        "ignored",
        "warning",
        "nothing passes it",
    ),
    "twice_in_list": ("train_infer_python", line(43, "2", "2|2"), 43, "ignored", "warning", "more than once"),
    "script": (
        "mini",
        line(23, "export_model.py", "exprot_model.py"),
        23,
        "missing",
        "error",
        "did you mean tools/export_model.py?",
    ),
    "script_elsewhere": (
        "mini",
        line(28, "deploy/infer.py", "infer.py"),
        28,
        "missing",
        "error",
        "did you mean deploy/infer.py?",
    ),
    "option": ("mini", line(30, "--batch-size", "--batch_size"), 30, "option", "error", "did you mean --batch-size?"),
    "option_of_command": (
        "mini",
        line(17, "--test-only", "--test-olny"),
        17,
        "option",
        "error",
        "did you mean --test-only?",
    ),
    "yaml": (
        "train_infer_python",
        line(40, "inference_cls.yaml", "inference_clas.yaml"),
        40,
        "missing",
        "error",
        "configs/inference_cls.yaml?",
    ),
    "yaml_key": (
        "train_infer_python",
        line(7, "Global.epochs", "Global.epoch"),
        7,
        "yaml-key",
        "warning",
        "did you mean epochs?",
    ),
    "yaml_operator": (
        *(
            "train_infer_python",
            line(
                16, "lite_data.yaml", "lite_data.yaml -o DataLoader.Train.dataset.transform_ops.0.ResizeImage.size=224"
            ),
            16,
        ),
        *("yaml-key", "error", "and not ResizeImage"),
    ),
    "yaml_index": (
        *(
            "train_infer_python",
            line(
                16, "lite_data.yaml", "lite_data.yaml -o DataLoader.Train.dataset.transform_ops.9.ResizeImage.size=224"
            ),
            16,
        ),
        *("yaml-key", "error", "which has no 9"),
    ),
    "whole_option": (
        "train_infer_python",
        line(16, "|whole=tools/train.py -c", "|whole=tools/train.py -C"),
        16,
        "option",
        "error",
        "-C",
    ),
    "another_yaml": (
        "train_infer_python",
        lambda text: line(24, "digits.yaml", "lite_data_32.yaml")(
            line(24, "lite_data.yaml", "lite_data_64.yaml")(text)
        ),
        24,
        "another-yaml",
        "warning",
        "that of norm_train",
    ),
    "serving_key": (
        "serving_infer_python",
        line(5, "trans_model", "trans_modle"),
        5,
        "refused",
        "error",
        "did you mean trans_model?",
    ),
    "serving_operator": ("serving_infer_python", line(13, "0|null", "cpu"), 13, "refused", "error", "cpu"),
    "serving_script": (
        "serving_infer_python",
        line(12, "classification", "clasification"),
        12,
        "missing",
        "error",
        "classification_web_service.py?",
    ),
    "serving_cpp": ("serving_infer_cpp", without(6), 13, "refused", "error", "serving_params ends after 12 lines"),
    "onnx": ("paddle2onnx_infer_python", line(9, "11", "eleven"), 9, "refused", "error", "a number such as 11"),
    "onnx_option": (
        "paddle2onnx_infer_python",
        line(12, "predict_cls.py", "predict_cls.py --verbose"),
        12,
        "option",
        "error",
        "--verbose",
    ),
    "lite": ("lite_arm_cpu_cpp", line(8, "FP32", "FP23"), 8, "refused", "error", "FP32, FP16 or INT8"),
    "lite_key": (
        "lite_arm_cpu_cpp",
        line(6, "num_threads", "num_thread"),
        6,
        "refused",
        "error",
        "did you mean num_threads_list?",
    ),
    "cpp": ("inference_cpp", line(15, "precision", "precison"), 17, "refused", "error", "did you mean precison?"),
    "two_suffixes": ("mini", lambda text: text, 1, "file-name", "warning", "did you mean train_infer_python.txt?"),
    "another_name": ("mini", lambda text: text, 1, "file-name", "warning", "did you mean train_infer_python.txt?"),
    "wrong_name": (
        "serving_infer_python",
        lambda text: text,
        1,
        "file-name",
        "warning",
        "a name with serving_infer_python",
    ),
    "empty": ("mini", lambda text: "", 1, "refused", "error", "the file is empty"),
    "latin": ("mini", lambda text: text.replace("MiniNet", "Min\udce9Net"), 2, "encoding", "error", "byte 0xe9"),
    "zero": ("mini", lambda text: text.replace("MiniNet", "Mini\0Net"), 2, "encoding", "error", "a zero byte"),
}
FILE_NAMES = {
    "two_suffixes": "train_infer_python.txt.txt",
    "another_name": "trian_infer_python.txt",
    "wrong_name": "train_infer_python.txt",
}


def project_of(base):
    return "classifier" if base == "mini" else "own"


@pytest.fixture(scope="module")
def found(tmp_path_factory, classifier):
    """{name of a fault: (its config's path, findings)}, of one call for each project."""
    folder = tmp_path_factory.mktemp("planted")
    paths = {}
    for name, (base, change, *_) in FAULTS.items():
        path = folder / project_of(base) / name / FILE_NAMES.get(name, BASES[base].name)
        path.parent.mkdir(parents=True)
        path.write_bytes(change(BASES[base].read_text(encoding="utf-8")).encode("utf-8", "surrogateescape"))
        paths[name] = path
    told = {**findings("--project", classifier, folder / "classifier"), **findings("--project", ROOT, folder / "own")}
    return {name: (path, told[path]) for name, path in paths.items()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(found, name):
    *_, number, kind, level, words = FAULTS[name]
    fitting = [one for one in found[name][1] if (one["line"], one["check"], one["level"]) == (number, kind, level)]
    assert fitting, found[name][1]
    texts = [f"{one['key']}: {one['found']}; expected {one['expected']}; {one['suggestion']}" for one in fitting]
    assert any(words in text for text in texts), texts


# those whose fault has more than one consequence, each of which is said
SEVERAL = {"mode", "mode_empty", "mode_none", "mode_twice", "placeholder_address", "section", "colon_wide", "bar_wide"}
SEVERAL |= {"latin", "wrong_name", "serving_script"}


@pytest.mark.parametrize("name", sorted(set(FAULTS) - SEVERAL))
def test_nothing_else_is_said(found, name):
    assert len(found[name][1]) == 1, found[name][1]


def kinds_of_findings():
    """The kinds that the checks have, by their sources."""
    pattern = re.compile(r'(?:ERROR|WARNING|level|wrong\[0\]), "([a-z-]+)"')
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "test_tipc/lib/lint").glob("*.py"))
    return {kind for text in texts for kind in pattern.findall(text)} | {"mode"}


def test_every_kind_of_finding_is_planted():
    assert len(kinds_of_findings()) > 15
    assert kinds_of_findings() == {kind for *_, kind, _, _ in FAULTS.values()}


def test_the_bases_are_without_faults(tmp_path, classifier):
    folder = tmp_path / "test_tipc/configs/MiniNet"
    folder.mkdir(parents=True)
    shutil.copy(BASES["mini"], folder)
    assert list(findings("--project", classifier, folder).values()) == [[]]
