"""Configs of both dialects as the driver reads them, and what it says about wrong ones before anything is run."""

import pytest

from tests.helpers.shell import CONFIGS, MODE, Chain, assert_one_error, bash

DUMP = """
RUN[config]=$1; read_train_config
for f in "${FIELDS[@]}"; do printf '%s\\t%s\\t%s\\0' "$f" "${KEY[$f]}" "${VALUE[$f]}"; done
"""
PADDLECLAS_FIELDS = 12 + 7 + 2 + 24


@pytest.fixture
def models_chain(tree, tmp_path):
    return Chain(tree, tmp_path, "models")


def fields(path, mode=MODE):
    """{field: (key, value)} and the notes that were printed."""
    run = bash(DUMP, path, MODE=mode)
    assert run.status == 0, run.err
    notes, _, first = run.out.split("\0")[0].rpartition("\n")
    rows = [row.split("\t") for row in [first, *run.out.split("\0")[1:-1]]]
    return {row[0]: tuple(row[1:]) for row in rows}, notes


# --------------------------------------------------------------------------------------------------- what is read


def test_an_official_file_is_read_field_by_field():
    path = CONFIGS / "official_small.txt"
    found, notes = fields(path)
    assert notes == f"note: {path}:39: 'infer_quant:Fasle' is read as False"
    assert len(found) == PADDLECLAS_FIELDS
    lines = [line.strip() for line in path.read_text().splitlines()]
    written = [tuple(line.split(":", 1)) for line in lines if ":" in line][:PADDLECLAS_FIELDS]
    for (field, (key, value)), (written_key, written_value) in zip(found.items(), written):
        assert key == written_key, field
        if field not in ("epochs", "infer_quant"):
            assert value == written_value, field
    assert found["epochs"] == ("-o Global.epochs", "2")
    assert found["batch_size"] == ("-o DataLoader.Train.sampler.batch_size", "8")
    assert found["gpu_list"][1] == "0|0,1"
    assert found["export_weights"] == ("-o Global.pretrained_model", "")
    assert found["provided_weights"][1].startswith("https://paddle-imagenet-models-name.bj.bcebos.com/")
    assert found["infer_quant"] == ("infer_quant", "False")
    assert found["image"] == ("-o Global.infer_imgs", "../dataset/ILSVRC2012/val/ILSVRC2012_val_00000001.JPEG")
    assert found["benchmark"] == ("-o Global.benchmark", "False")


def test_the_models_dialect_is_read_field_by_field(tmp_path):
    found, _ = fields(CONFIGS / "models.txt")
    assert {field: value for field, (_, value) in found.items()} == {
        "model_name": "small_net",
        "python": "python3.7",
        "gpu_list": "-1",
        "device": "True|True",
        "epochs": "5",
        "output_dir": "./log/small_net/norm_train",
        "batch_size": "4",
        "pretrained": "null",
        "train_model_name": "latest.pdparams",
        "data_path": "./lite_data",
        "trainer": "norm_train",
        "norm_train": "PROGRAMS/train.py --model=small_net",
        "eval": "null",
        "save_inference_dir": "./log/small_net_infer",
        "export_weights": "",
        "norm_export": "PROGRAMS/export.py --img-size 224",
        "provided_weights": "null",
        "infer_export": "null",
        "inference": "PROGRAMS/infer.py",
        "use_gpu": "True|False",
        "infer_batch_size": "1",
        "model_dir": "./log/small_net_infer",
        "image": "./lite_data/val",
        "benchmark": "False",
    }
    assert found["epochs"][0] == "--epochs"


def test_the_older_form_of_the_paddleclas_dialect_is_read_field_by_field():
    found, _ = fields(CONFIGS / "arcface.txt")
    assert found["epochs"] == ("--train_num", "1")
    assert found["free_export2"] == ("export2", "null")
    assert found["provided_weights"] == ("train_model", "./inference")
    assert found["inference"][1] == "tools/inference.py  --export_type=paddle --benchmark=True"
    assert found["use_fp16"] == ("--precision", "fp32")
    assert found["image"] == ("--image_path", "MS1M_v2/images")
    assert found["benchmark"] == ("--benchmark", "null")
    show = 'RUN[config]=$1; read_train_config; echo "${RUN[infer_folder]}"'
    folder = bash(show, CONFIGS / "arcface.txt", MODE=MODE).out
    assert folder == ".\n"


def test_mixed_precision_files_have_a_trainer_of_their_own_and_a_short_separator(models_chain):
    chain = models_chain
    text = chain.text.replace("norm_train", "amp_train").replace("\n##", "\n#")
    chain.path.write_text(text)
    found, _ = fields(chain.path)
    assert found["trainer"] == ("trainer", "amp_train")
    assert found["norm_train"][0] == "amp_train"


@pytest.mark.parametrize(
    "value",
    ["https://a.b:80/c?d=e", "C:\\paths\\x", "a b  c", "a=b=c", "'q\" x", "x;y|z", "$(touch X)", "*", "null:null", "é"],
)
def test_a_value_is_all_that_follows_the_first_colon(chain, value):
    chain.set("-o Global.pretrained_model", value)
    chain.path.write_text(chain.text)
    assert fields(chain.path)[0]["pretrained"] == ("-o Global.pretrained_model", value)


def test_blanks_around_do_not_count_and_the_last_line_needs_no_end(chain):
    chain.text = chain.text.replace("====\n", "==== \t\n").replace("##\n", " ## \n")
    chain.text = chain.text.replace("\nmodel_name:", "\n model_name : ")
    chain.text = chain.text.replace("\n-o Global.device:cpu", "\n\n  -o Global.device : cpu \t")
    chain.path.write_text("\ufeff" + chain.text.rstrip("\n"))
    found = fields(chain.path)[0]
    assert found["model_name"] == ("model_name", "small_net")
    assert found["device"] == ("-o Global.device", "cpu")
    assert found["infer_free"] == ("null", "null")


@pytest.mark.parametrize("mode", ["lite_train_lite_infer", "lite_train_whole_infer", "whole_train_whole_infer"])
def test_any_value_may_depend_on_the_mode(chain, mode):
    lite = mode.startswith("lite")
    keys = {
        "gpu_list": ("-1", "0|0,1"),
        "trainer": ("norm_train", "norm_train"),
        "norm_train": ("a.py -o x='y z'", "b.py"),
        "-o Global.use_gpu": ("False", "True"),
        "-o Global.cpu_num_threads": ("1", "6"),
        "-o Global.infer_imgs": ("../test_images", "../dataset/x"),
    }
    for key, (short, long) in keys.items():
        if key == "gpu_list":
            chain.set(key, f"lite_train={short}|whole={long.replace('|', ',')}")
        else:
            chain.set(key, f"lite_train={short}|whole={long}")
    chain.path.write_text(chain.text)
    found = dict(fields(chain.path, mode)[0].values())
    for key, (short, long) in keys.items():
        assert found[key] == (short if lite else long.replace("|", ",")), key


def test_what_only_trainings_need_may_be_missing_where_nothing_is_trained(chain):
    chain.set("norm_train", "lite_train=a.py|whole_train=b.py")
    chain.path.write_text(chain.text)
    found = fields(chain.path, "whole_infer")[0]
    assert found["norm_train"][1] == found["epochs"][1] == "null"


@pytest.mark.parametrize(("written", "read"), [("true|false", "True|False"), ("Fasle| True", "False|True"), ("", "")])
def test_spellings_of_booleans(chain, written, read):
    chain.set("-o Global.use_gpu", written)
    chain.path.write_text(chain.text)
    assert fields(chain.path)[0]["use_gpu"][1] == read


# ---------------------------------------------------------------------------------------------------- what is wrong


def assert_refused(chain, *expected, mode=MODE, **options):
    """One line of error, and not a trace of a run."""
    run = chain.run(mode=mode, **options)
    assert_one_error(run, *expected)
    assert chain.calls() == []
    assert not (chain.folder / "output").exists()


def line_of(chain, start):
    """`file:number:` of the first line that starts so."""
    number = next(i for i, line in enumerate(chain.text.splitlines(), 1) if line.startswith(start))
    return f"{chain.path}:{number}:"


@pytest.mark.parametrize("title", ["train_params", "eval_params", "infer_params"])
@pytest.mark.parametrize("dialect", ["paddleclas", "models"])
def test_a_missing_section(tree, tmp_path, dialect, title):
    chain = Chain(tree, tmp_path, dialect)
    at = chain.text.index(f"{title}=") - 27
    end = chain.text.find("=====", at + 80)
    chain.text = chain.text[:at] + (chain.text[end:] if end > 0 else "")
    assert_refused(chain, f"{chain.path}:", title)


@pytest.mark.parametrize(
    ("dialect", "line", "expected"),
    [
        ("paddleclas", "gpu_list", ":4: expected 'gpu_list:…', found '-o Global.device:…'"),
        ("paddleclas", "pact_train", "'free_train' next"),
        ("paddleclas", "eval", ":24: expected 'eval:…', found 'null:…'"),
        ("paddleclas", "infer_model", ":38: expected 'infer_export:…', found 'infer_quant:…'"),
        ("models", "gpu_list", ":4: expected 'gpu_list:…', found 'use-gpu:…'"),
        ("models", "norm_train", "'norm_train' next"),
        ("models", "train_model", "'infer_export' next"),
        ("models", "--img-path", "'benchmark' next"),
    ],
)
def test_a_missing_line(tree, tmp_path, dialect, line, expected):
    chain = Chain(tree, tmp_path, dialect)
    chain.text = "\n".join(text for text in chain.text.splitlines() if not text.startswith(line + ":"))
    assert_refused(chain, f"{chain.path}:", expected)


def test_an_added_line_that_shifts_the_others(chain):
    chain.text = chain.text.replace("gpu_list:", "another:1\ngpu_list:")
    assert_refused(chain, f"{chain.path}:4: expected 'gpu_list:…', found 'another:…'")


def test_lines_behind_those_of_the_dialect_are_said(chain):
    chain.text = chain.text.replace("null:null\n##\n", "null:null\n--x:1\n--y:2\n##\n", 1)
    chain.path.write_text(chain.text)
    _, notes = fields(chain.path)
    assert notes == f"note: {chain.path}:14: 2 more lines than the dialect paddleclas has: not used"


def test_titles_without_lines(chain):
    chain.text = "===train_params===\n===eval_params===\n"
    assert_refused(chain, f"{chain.path}:1:", "train_params has 0 lines")


def test_a_second_section_of_the_same_name_is_said(chain):
    path = chain.folder / "twice.txt"
    path.write_text(chain.text * 2)
    once, _ = fields(CONFIGS / "paddleclas.txt")
    found, notes = fields(path)
    assert list(found) == list(once)
    lines = len(chain.text.splitlines())
    assert f"note: {path}:{lines + 1}: a second section ===train_params===, which is not read" in notes


def test_a_file_that_ends_behind_a_section(chain):
    chain.text = chain.text[: chain.text.index("##")]
    assert_refused(chain, f"{chain.path}:13:", "ends before the line 'trainer'")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ":1: the file is empty"),
        (b"\n \n\n", ":1: the file is empty"),
        (b"##\n", ":1: the file is empty"),
        (b"model_name:x\n", ":1: expected a title"),
        (b"\0\0", ":1: not UTF-8 text"),
    ],
)
def test_files_that_are_no_configs(chain, content, expected):
    path = chain.folder / "wrong.txt"
    path.write_bytes(content)
    assert_refused(chain, f"{path}{expected}", config=path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text.encode().replace(b"\n", b"\r\n"), ":1: the line ends in CR LF"),
        (lambda text: text.encode().replace(b"##\n", b"##\r\n", 1), ":14: the line ends in CR LF"),
        (lambda text: text.encode("utf-16"), ":1: not UTF-8"),
        (lambda text: text.replace("trainer:", "trainér:").encode("latin-1"), ":15: not UTF-8"),
        (lambda text: text.encode()[:-1] + b"\xe9", ":51: not UTF-8"),
        (lambda text: text.encode().replace(b"trainer", b"train\0er"), ":15: not UTF-8"),
        (lambda text: text.replace("##\n", "##\nno colon\n", 1).encode(), ":15: expected key:value, found 'no colon"),
        (lambda text: text.replace("##\n", "##\n# a remark: x\n", 1).encode(), ":15: expected key:value, found '# a"),
    ],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_wrong_bytes(chain, change, expected, locale):
    path = chain.folder / "wrong.txt"
    path.write_bytes(change(chain.text))
    assert_refused(chain, f"{path}{expected}", config=path, LC_ALL=locale)


def test_a_folder_and_a_missing_file(chain):
    assert_refused(chain, f"{chain.folder}: expected a config file, found a folder", config=chain.folder)
    assert_refused(chain, "no/such.txt: no such config file", config="no/such.txt")


def test_an_unknown_mode_and_wrong_options(chain):
    assert_refused(chain, "unknown mode 'lite_train'", "whole_train_whole_infer", mode="lite_train")
    for options, expected in (
        (["--stage", "9"], "from 0 to 6"),
        (["--stage"], "found ''"),
        (["--unknown"], "'--unknown'"),
        (["another"], "usage"),
        (["--stage", "4", "--stop_stage", "2"], "--stop_stage 2 comes before --stage 4"),
    ):
        assert_one_error(chain.run(*options), expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("model_name", "../../x", "model_name becomes a folder's name"),
        ("model_name", "a b", "model_name becomes a folder's name"),
        ("model_name", "$(touch X)", "model_name becomes a folder's name"),
        ("model_name", "null", "'model_name' has no value"),
        ("gpu_list", "", "'gpu_list' has no value"),
        ("gpu_list", "-1|", "'gpu_list': an entry beside '|' is empty in '-1|'"),
        ("gpu_list", "0| |-1", "'gpu_list': an entry beside '|' is empty"),
        ("trainer", "norm_trian", "no line 'norm_trian:…' follows; there are: norm_train pact_train"),
        ("trainer", "norm_train|", "no line ':…' follows"),
        ("gpu_list", "0|one", "'gpu_list': expected such as -1, 0 or 0,1"),
        ("gpu_list", "0|../../x", "found '../../x'"),
        ("-o Global.auto_cast", "null|ampp", "'-o Global.auto_cast': expected fp32, amp or fp16, found 'ampp'"),
        ("-o Global.epochs", "many", "expected a whole number above 0, found 'many'"),
        ("-o Global.epochs", "0", "expected a whole number above 0, found '0'"),
        ("-o Global.epochs", "whole_train_whole_infer=3", "has no value for the mode lite_train_lite_infer"),
        ("-o Global.epochs", "lite_train_lite_infr=3|whole_train=1", "has no value for the mode"),
        ("-o DataLoader.Train.sampler.batch_size", "whole=3", "has no value for the mode"),
        ("-o Global.batch_size", "1|-4", "found '-4'"),
        ("-o Global.cpu_num_threads", "../../x", "found '../../x'"),
        ("-o Global.use_gpu", "True|Flase", "expected True or False, found 'Flase'"),
        ("-o Global.enable_mkldnn", "yes", "expected True or False, found 'yes'"),
        ("infer_quant", "Tru", "expected True or False, found 'Tru'"),
        ("norm_train", 'a.py -o "x', "'norm_train' has a quote that is not closed"),
        ("eval", "eval.py 'x", "'eval' has a quote that is not closed"),
        ("norm_export", "export.py it's", "'norm_export' has a quote that is not closed"),
        ("inference", "lite_train=infer.py 'x|whole=y", "'inference' has a quote that is not closed"),
    ],
)
def test_wrong_values_are_told_with_their_line(chain, key, value, expected):
    chain.set(key, value)
    assert_refused(chain, line_of(chain, f"{key}:"), expected)


def test_where_nothing_is_trained_there_must_be_something_to_infer(chain):
    chain.set("inference", "null")
    assert_refused(chain, line_of(chain, "inference:"), "'inference' has no value", mode="whole_infer")
    run = chain.run("--dry_run")
    assert (run.status, run.err) == (0, "")
    assert "infer: skipped (the config has no inference command)" in run.out


def test_a_quote_in_a_key(chain):
    chain.text = chain.text.replace("-o Global.device:", '-o "Global.device:')
    assert_refused(chain, f"{chain.path}:5: the key has a quote that is not closed")


def test_a_very_long_wrong_value_is_told_shortly(chain):
    chain.set("-o Global.use_gpu", "x" * 100_000)
    run = chain.run()
    assert_one_error(run, "expected True or False")
    assert len(run.err) < 1000
