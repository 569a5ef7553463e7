"""The functions that official scripts take from common_func.sh, and a script of their shape that uses them."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers.scripts import FIXTURES, LIMIT, ROOT
from tests.helpers.shell import MODE, copy_tree

STYLE = FIXTURES / "tipc/test_official_style.sh"
LINE = "\033[33m Run {} with command - {} ! \033[0m\n"


def run(text, *arguments, options="", cwd=ROOT):
    """`text` in a bash as an official script is one: it sources common_func.sh with no shell option but `options`."""
    source = f"{options}\nsource '{ROOT}/test_tipc/common_func.sh'\n"
    command = ["bash", "-c", source + text, "official", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT, check=False)


def printed(text, *arguments, **more):
    done = run(text, *arguments, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# -------------------------------------------------------------------------------------------------- each function

LINES = {  # line: (key, value)
    "model_name:net": ("model_name", "net"),
    "-o Global.device:gpu": ("-o Global.device", "gpu"),
    "url:https://a.b:8080/c d.tar?x=1": ("url", "https://a.b:8080/c d.tar?x=1"),
    'op.imagenet.devices:"0"|null': ("op.imagenet.devices", '"0"|null'),
    "null:null": ("null", "null"),
    "##": ("##", ""),
    "": ("", ""),
    "key:": ("key", ""),
    "-n: -e": ("-n", "-e"),
    "a * b:* ? ~ [a-z]": ("a * b", "* ? ~ [a-z]"),
    r"key:a\tb\033[31m": ("key", r"a\tb\033[31m"),
    "key:$(touch X) `touch X` ${HOME}": ("key", "$(touch X) `touch X` ${HOME}"),
    " key : a  b ": ("key", "a  b"),
}
IFS = ["", r"IFS=$'\n'", "IFS='|'", "IFS=:", "IFS="]


@pytest.mark.parametrize("ifs", IFS)
def test_key_and_value(ifs, tmp_path):
    text = ifs + '\nfor line in "$@"; do func_parser_key "$line"; func_parser_value "$line"; done'
    expected = [part for pair in LINES.values() for part in pair]
    assert printed(text, *LINES, cwd=tmp_path).split("\n")[:-1] == expected
    assert list(tmp_path.iterdir()) == []  # nothing was evaluated


@pytest.mark.parametrize(
    ("line", "mode", "expected"),
    [
        ("epochs:lite_train_lite_infer=2|whole_train_whole_infer=120", "whole_train_whole_infer", "120"),
        ("epochs:lite_train_lite_infer=2|whole_train_whole_infer=120", "lite_train_lite_infer", "2"),
        ("epochs:lite_train_lite_infer=2|whole_train_whole_infer=120", "whole_infer", ""),
        ("epochs:lite_train_lite_infer=2|whole_train_whole_infer=120", "benchmark_train", ""),
        ("epochs:lite_train=2|whole_train=120", "whole_train_whole_infer", "120"),
        ("--url:whole_infer=https://a.b/c", "whole_infer", "https://a.b/c"),
        ("batch_size:128", "lite_train_lite_infer", "128"),
        ("batch_size:null", "lite_train_lite_infer", "null"),
        ("batch_size", "lite_train_lite_infer", ""),
    ],
)
def test_the_value_of_a_mode(line, mode, expected):
    assert printed('func_parser_params "$1" "$2"', line, mode) == expected + "\n"
    # PaddleClas's script passes no mode and means its own
    assert printed('MODE=$2; IFS="|"; func_parser_params "$1"', line, mode) == expected + "\n"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("--flag", "x y", "--flag=x y"),
        ("-o A.b", "a=b:c|d", "-o A.b=a=b:c|d"),
        ("null", "x", " "),
        ("", "x", " "),
        ("--flag", "null", " "),
        ("--flag", "", " "),
        ("--flag", " ", " "),
        ("--flag", r"a\n*", r"--flag=a\n*"),
        ("-n", "-e", "-n=-e"),
    ],
)
def test_set_params(key, value, expected, tmp_path):
    assert printed('IFS="|"; func_set_params "$1" "$2"', key, value, cwd=tmp_path) == expected + "\n"


def test_set_params_without_a_value():
    assert printed('func_set_params "$1"', "--flag", options="set -u") == " \n"


def test_the_second_part_at_a_separator():
    text = 'func_parser_value_lite "$1" "$2"'
    for line, separator, expected in (("size 256", " ", "256"), ("size:a b", ":", "a b"), ("size", " ", "")):
        assert printed(text, line, separator) == expected + "\n"


def test_the_options_of_mixed_precision():
    for name, level in (("amp", "O1"), ("fp16", "O2")):
        assert f"AMP.use_amp=True -o AMP.scale_loss=128 -o AMP.use_dynamic_loss_scaling=True -o AMP.level={level}" in (
            printed('func_set_amp_params "$1" "$2"', "null", name)
        )
    for name in ("null", "", "fp32"):
        assert printed('func_set_amp_params "$1" "$2"', "null", name) == "-o AMP.use_amp=False\n"


# --------------------------------------------------------------------------------------------------- status_check


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["c", "FILE", "net", "/a b/x.log"], "net - c - /a b/x.log"),
        (["python t.py -o a=b\\n > x 2>&1 ", "FILE", "net"], "net - python t.py -o a=b\\n > x 2>&1 "),
        (["%s $(touch X) *", "FILE"], "%s $(touch X) *"),
    ],
)
@pytest.mark.parametrize(("status", "word"), [(0, "successfully"), (1, "failed"), (139, "failed")])
def test_the_line_of_a_status(arguments, text, status, word, tmp_path):
    kept = tmp_path / "results of it.log"
    kept.write_text("before\n")
    arguments = [str(kept) if word == "FILE" else word for word in arguments]
    assert printed('IFS="|"; status_check "$@"', status, *arguments, cwd=tmp_path) == LINE.format(word, text)
    assert kept.read_text() == "before\n" + LINE.format(word, text)
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("options", ["", "set -e", "set -eu -o pipefail"])
def test_a_failed_step_does_not_end_the_script(options, tmp_path):
    text = 'status_check 1 c "$1" net; echo "goes on"'
    assert printed(text, tmp_path / "results.log", options=options).endswith("goes on\n")


def test_a_status_that_was_never_set_counts_as_a_failure(tmp_path):
    done = run('status_check $last_status "c d" "$1" net /x.log', tmp_path / "results.log")
    assert done.stdout == LINE.format("failed", "net - c d - /x.log")
    assert done.stderr == "error: status_check: expected an exit code, found 'c d'; counted as a failure\n"


def test_a_status_that_cannot_be_kept_is_told(tmp_path):
    done = run('status_check 0 c "$1/none/results.log" net', tmp_path)
    assert done.returncode != 0
    assert "No such file" in done.stderr


# ---------------------------------------------------------------------------------------- what sourcing changes

STATE = 'state() { set +o; shopt; trap -p; printf "IFS %q\\n" "$IFS"; ulimit -a; umask; pwd; env | grep -v ^_=; }\n'


@pytest.mark.parametrize("options", ["", "set -e", "set -u", "set -euo pipefail", "set -f; IFS='|'", "trap true EXIT"])
def test_shell_options_traps_and_variables_stay_the_scripts_own(options):
    text = f'{STATE}{options}\nbefore=$(state)\nset -- "$@"\nsource "{ROOT}/test_tipc/common_func.sh"\nafter=$(state)\n'
    text += '[[ $before == "$after" ]] || diff <(echo "$before") <(echo "$after"); echo "$# $1 $2"'
    command = ["bash", "-c", text, "official", "the config", "mode"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=kept)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 the config mode\n", "")


def test_our_own_scripts_are_strict():
    """A script that sources common_func.sh and is no official one says so before."""
    scripts = [*(ROOT / "test_tipc").glob("*.sh"), *(ROOT / "tools/tables").glob("*.sh")]
    loose = []
    for script in scripts:
        before, sourced, _ = script.read_text().partition('/common_func.sh"\n')
        if sourced and "\nset -uo pipefail\n" not in before:
            loose.append(script.name)
    assert len(scripts) > 6
    assert loose == []


# ------------------------------------------------------------------------------------------ a script of that shape


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the project, without a blank in its path, which no official script survives."""
    tree = copy_tree(tmp_path_factory.mktemp("official"))
    tree = tree.rename(tree.with_name("project"))
    shutil.copy(STYLE, tree / "test_tipc")
    return tree


def official(chain, place, mode=MODE):
    """Run the script on the chain's config: what it printed, the lines of its results, the folder of its logs."""
    chain.set("python", sys.executable)
    chain.path.write_text(chain.text)
    command = ["bash", f"test_tipc/{STYLE.name}", str(chain.path), mode]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LIMIT, check=False)
    folder = place / "test_tipc/output/small_net" / mode
    results = folder / "results_python.log"
    lines = results.read_text().splitlines()
    results.unlink()
    assert done.stderr == ""
    return done.stdout, lines, folder


def test_a_script_of_the_official_shape_runs_every_step(chain, place):
    chain.set("-o Global.cpu_num_threads", "1|6")
    out, lines, folder = official(chain, place)
    tag = f"{folder}/norm_train_gpus_-1_autocast_null_nodes_1"
    logs = [f"{tag}.log", f"{tag}_eval.log", f"{tag}_export.log"]
    logs += [f"{folder}/python_infer_cpu_threads_{count}.log" for count in (1, 6)]
    form = re.compile(r"\033\[33m Run successfully with command - small_net - (.+) - (\S+) ! \033\[0m")
    assert [form.fullmatch(line)[2] for line in lines] == logs
    assert "weights: https://example.com/a:b/small_net_pretrained.pdparams\n" in out
    assert [call[0] for call in chain.calls()] == ["train", "eval", "export", "infer", "infer"]
    train = chain.arguments("train")
    assert train == [
        *["-o", "Global.seed=1", "-o", "Global.device=cpu", "-o", f"Global.output_dir={tag}", "-o", "Global.epochs=2"],
        *["-o", "AMP.use_amp=False", "-o", "DataLoader.Train.sampler.batch_size=8"],
    ]
    assert chain.arguments("export")[-3:] == [
        f"Global.pretrained_model={tag}/latest",
        "-o",
        f"Global.save_inference_dir={tag}",
    ]
    assert "Global.cpu_num_threads=6" in chain.calls("infer")[1][1]


def test_its_failed_step_is_a_failed_line_and_the_next_ones_run(chain, place):
    chain.program("eval", "sys.exit(3)")
    _, lines, _ = official(chain, place, "whole_train_whole_infer")
    assert ["Run failed" in line for line in lines] == [False, True, False, False]
    assert "Global.epochs=30" in chain.arguments("train")


def test_our_driver_writes_the_same_lines(chain, place):
    """For the steps that both have; commands differ in their options."""
    _, official_lines, _ = official(chain, place)
    ours = chain.run()
    lines = (ours.folder / "results_python.log").read_text().splitlines()
    shape = re.compile(r"(\033\[33m Run successfully with command - small_net - ).+( - ).+/([^/]+)( ! \033\[0m)")
    of_both = [shape.fullmatch(line).groups() for line in official_lines[:3]]
    assert set(of_both) <= {match.groups() for match in map(shape.fullmatch, lines) if match}
