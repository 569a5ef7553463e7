"""The functions that the scripts of test_tipc/ share: words, lists, modes, locks, exit codes and processes."""

import os
import re
import shlex
import subprocess

import pytest

from ppcls_lite.utils.machine import speed_up_mkl
from steps import read_steps
from tests.helpers.scripts import LIMIT
from tests.helpers.shell import ROOT, assert_one_error, bash, is_running, wait_for

PROVIDED = 'read_config "$1"; see_provided_weights "$(value_of pretrained_model_url train_model)"; echo "$REPLY"'
SHOW = 'split_words "$1"; status=$?; printf "%s\\0" "${WORDS[@]}"; exit $status'


def words(text, **environment):
    run = bash(SHOW, text, **environment)
    assert run.err == ""
    return run.out.split("\0")[:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("-o 'a b' \"c d\"", ["-o", "a b", "c d"]),
        ("a'b'\"c\"d", ["abcd"]),
        ("a\\ b '\\'", ["a b", "\\"]),
        ("'' x", ["", "x"]),
        ("x; rm -rf / && y", ["x;", "rm", "-rf", "/", "&&", "y"]),
        ("$(touch X) `touch X` $HOME ~ * ?", ["$(touch", "X)", "`touch", "X`", "$HOME", "~", "*", "?"]),
        ("{a,b} !x #y <(z) > w", ["{a,b}", "!x", "#y", "<(z)", ">", "w"]),
        ("bild ähnlich.jpg", ["bild", "ähnlich.jpg"]),
    ],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_words_are_split_as_a_shell_does_and_never_expanded(text, expected, locale):
    assert words(text, LC_ALL=locale) == expected


def test_words_agree_with_the_shells_own_rules_where_nothing_is_expanded():
    for text in ("a 'b c'd \"e'f\" g\\'h", "''''", " x ", "a\\\\b"):
        assert words(text) == shlex.split(text), text


@pytest.mark.parametrize("text", ["a 'b", 'a "b', "it's"])
def test_an_open_quote_is_told(text):
    assert bash(SHOW, text).status == 1


def test_a_long_text_is_split():
    assert words("x " * 500 + "y" * 90_000) == ["x"] * 500 + ["y" * 90_000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", ["a", "b"]), (" x | y z ", ["x", "y z"]), ("", [""]), ("a||b|", ["a", "", "b", ""]), ("*", ["*"])],
)
def test_lists(text, expected):
    run = bash('split_list "$1"', text)
    assert run.out.split("\n")[:-1] == expected


@pytest.mark.parametrize(
    ("value", "mode", "expected"),
    [
        ("plain", "whole_infer", "plain"),
        ("a=b|c=d", "whole_infer", "a=b|c=d"),
        ("lite_train_lite_infer=2|whole_train_whole_infer=120", "lite_train_lite_infer", "2"),
        ("lite_train_lite_infer=2|whole_train_whole_infer=120", "lite_train_whole_infer", "2"),
        ("lite_train_lite_infer=2|whole_train_whole_infer=120", "whole_train_whole_infer", "120"),
        ("lite_train_lite_infer=2|whole_train_whole_infer=120", "whole_infer", None),
        ("lite_train=2|whole=a=b", "whole_infer", "a=b"),
        ("lite_train=2|whole=3|whole_infer=4", "whole_infer", "4"),
        ("lite_train=2|whole_train=3", "whole_train_whole_infer", "3"),
        ("lite_train_lite_infr=2|whole_train=3", "lite_train_lite_infer", None),
        ("lite_train=a b; c|whole=x", "lite_train_whole_infer", "a b; c"),
    ],
)
def test_the_value_of_a_mode(value, mode, expected):
    run = bash('for_mode "$1" "$2"', value, mode)
    assert (run.status, run.out) == ((0, expected) if expected is not None else (1, ""))


def test_options_are_put_together_as_one_argument_each():
    hostile = "a b; $(touch X) `id` * ~ 'q\" && rm -rf / | x"
    run = bash(
        'COMMAND=(python); add_option "-o A.b" "$1"; add_option --flag "$1"; add_option -o null; add_option null 1;'
        ' add_option --empty ""; add_option "-o a -o b" 2; printf "%s\\0" "${COMMAND[@]}"',
        hostile,
    )
    assert run.out.split("\0")[:-1] == ["python", "-o", f"A.b={hostile}", f"--flag={hostile}", "-o", "a", "-o", "b=2"]


def test_a_quoted_command_can_be_typed_again():
    arguments = ["python", "a b", "x;y", "$(z)", "it's", "*"]
    run = bash('quoted "$@"', *arguments)
    assert bash(f'printf "%s\\0" {run.out}').out.split("\0")[:-1] == arguments


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1700000001.900000", "1700000003.100000", "1.2"),
        ("1700000001,900000", "1700000002,090000", "0.1"),  # in some locales
        ("1700000005.000000", "1700000003.700000", "0.0"),  # the clock was set back
        ("1700000009.000000000", "1700000069.050000000", "60.0"),  # from date, where bash cannot tell
    ],
)
def test_elapsed(start, end, expected):
    assert bash('later=$2; now() { echo "$later"; }; elapsed "$1"', start, end).out == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pretrained_model_url:https://a.b/c/d.pdparams ", "pretrain_models/d.pdparams"),
        ("pretrained_model_url:https://a.b/d.pdparams?x=y/z#sha256=0", "pretrain_models/d.pdparams"),
        ("pretrained_model_url:https://a.b/c/d_infer.tar", "./d_infer"),
        ("pretrained_model_url:https://a.b/c/d_v1.0_infer.tar.gz", "./d_v1.0_infer"),
        ("pretrained_model_url: ./weights/d.pdparams", "weights/d.pdparams"),
        ("train_model:log/best.pdparams", "log/best.pdparams"),
    ],
)
def test_where_provided_weights_lie(tmp_path, line, expected):
    (tmp_path / "c.txt").write_text(f"===infer_params===\na:b\n{line}\n")
    assert bash(PROVIDED, tmp_path / "c.txt").out == expected + "\n"


def test_no_provided_weights(tmp_path):
    (tmp_path / "c.txt").write_text("===infer_params===\npretrained_model_url:null\n")
    assert_one_error(bash(PROVIDED, tmp_path / "c.txt"), "pretrained_model_url", "c.txt")


FLAGS = "flags : fpu avx avx2 bmi2"
CPUS = {
    "AuthenticAMD with AVX2": ("vendor_id\t: AuthenticAMD\nmodel name\t: EPYC\n" + FLAGS + "\n\n", "5"),
    "AuthenticAMD without": ("vendor_id\t: AuthenticAMD\nmodel name\t: Old\nflags : fpu avx\n\n" + FLAGS, ""),
    "GenuineIntel with AVX2": ("vendor_id\t: GenuineIntel\nmodel name\t: Xeon\n" + FLAGS + "\n\n", ""),
    "no such file": (None, ""),
}


@pytest.mark.parametrize("cpu", CPUS)
def test_mkl_is_told_of_avx2_on_amd_processors_only(tmp_path, cpu):
    text, expected = CPUS[cpu]
    path = tmp_path / "cpuinfo"
    if text:
        path.write_text(text)
    show = 'speed_up_mkl "$1"; env | grep ^MKL_DEBUG; processor "$1"'
    name = re.search("model name\t: (.*)", text or "model name\t: unknown")[1]
    lines = bash(show, path, MKL_DEBUG_CPU_TYPE=None).out.splitlines()
    assert lines == ([f"MKL_DEBUG_CPU_TYPE={expected}"] if expected else []) + [
        name + (f", MKL_DEBUG_CPU_TYPE={expected}, set by the chain" if expected else "")
    ]
    environ = {}
    speed_up_mkl(environ, path)
    assert environ.get("MKL_DEBUG_CPU_TYPE", "") == expected


def test_what_the_user_says_to_mkl_stays(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUS["AuthenticAMD with AVX2"][0])
    for stated in ("4", ""):
        run = bash('speed_up_mkl "$1"; processor "$1"', path, MKL_DEBUG_CPU_TYPE=stated)
        assert run.out == f"EPYC, MKL_DEBUG_CPU_TYPE={stated}"
        environ = {"MKL_DEBUG_CPU_TYPE": stated}
        assert not speed_up_mkl(environ, path)
        assert environ == {"MKL_DEBUG_CPU_TYPE": stated}


def test_a_gpu_counts_only_for_a_paddle_that_can_use_it(tmp_path):
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'GPU 0: Tesla'\necho 'GPU 1: Tesla'\n")
    fake.chmod(0o755)
    (tmp_path / "python").write_text('#!/bin/sh\necho "$FAKE_VERSIONS"\n')
    (tmp_path / "python").chmod(0o755)
    for versions, gpus in (("paddlepaddle 3.1.1", "0"), ("paddlepaddle-gpu 3.1.1", "2")):
        run = bash(
            'RUN[python]=$1; describe_environment; echo "${RUN[gpus]}"',
            tmp_path / "python",
            PATH=f"{tmp_path}:{os.environ['PATH']}",
            FAKE_VERSIONS=versions,
        )
        assert run.out == gpus + "\n"


# ----------------------------------------------------------------------------------------------------------- locks

HOLD = 'take_lock "$1/lock" "busy" && echo held && sleep "${2:-0}" && free_lock "$1/lock" && echo freed'


def hold(folder, seconds):
    source = f'source "{ROOT}/test_tipc/common_func.sh"\n'
    command = ["bash", "-c", source + HOLD, "lock", folder, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_second_waits_and_says_so(tmp_path):
    first = hold(tmp_path, 1.5)
    assert first.stdout.readline() == "held\n"
    second = bash(HOLD, tmp_path)
    assert second.out == f"waiting: busy (process {first.pid})\nheld\nfreed\n"
    assert first.communicate()[0] == "freed\n"
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_is_replaced_even_before_its_parent_has_noticed(tmp_path):
    first = hold(tmp_path, 1)
    assert first.stdout.readline() == "held\n"
    first.kill()
    assert wait_for(lambda: not is_running(first.pid))  # a zombie until wait()
    assert bash(HOLD, tmp_path).out == "held\nfreed\n"
    first.communicate()


def test_a_number_that_was_given_out_again_is_no_holder(tmp_path):
    (tmp_path / "lock").symlink_to(f"{os.getpid()}.1")
    assert bash(HOLD, tmp_path).out == "held\nfreed\n"


def test_of_many_that_find_a_dead_lock_one_at_a_time_gets_it(tmp_path):
    (tmp_path / "lock").symlink_to("999999999.1")
    text = HOLD.replace("echo held", 'mkdir "$1/alone"').replace("&& free", '&& rmdir "$1/alone" && free')
    source = f'source "{ROOT}/test_tipc/common_func.sh"\n'
    command = ["bash", "-c", source + text, "lock", str(tmp_path), "0.05"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    for run in runs:
        out, err = run.communicate(timeout=LIMIT)
        assert "freed" in out, err


def test_something_else_of_the_locks_name(tmp_path):
    (tmp_path / "lock").mkdir()
    assert_one_error(bash(HOLD, tmp_path), "lock: cannot be made")


# ----------------------------------------------------------------------------------------------------------- steps

# afterwards it says whether the process that the step named still lives
STEP = """
cd "$1"; open_output "$1/out"; start_record "$1/out/results.log"; shift
RUN[model]=net RUN[versions]=v RUN[commit]=c RUN[tool]=t RUN[python]=python3
run_step train "${RUN[output_dir]}/x.log" . "$@"; echo "status $?"
pid=$(sed -n 's/^pid //p' "${RUN[output_dir]}/x.log" | tail -n 1)
[[ -z $pid ]] || process_identity "$pid" || echo "gone"
"""


def step(folder, *command, **environment):
    return bash(STEP, folder, *command, **environment)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["bash", "-c", "exit 3"], 3),
        (["bash", "-c", "kill -SEGV $$"], 139),
        (["bash", "-c", "kill -KILL $$"], 137),
        (["bash", "-c", "kill -PIPE $$"], 141),
        (["bash", "-c", "set -o pipefail; yes | head -n 1"], 141),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_the_exit_status_is_the_commands_own(tmp_path, command, status):
    run = step(tmp_path, *command)
    assert f"status {status}\n" in run.out
    word = "failed" if status else "successfully"
    line = (tmp_path / "out" / "results.log").read_text()
    assert line.startswith(f"\033[33m Run {word} with command - net - {command[0]}")
    assert line.endswith(f" - {tmp_path}/out/x.log ! \033[0m\n")
    (ended,) = read_steps(tmp_path / "out" / "steps.tsv")
    assert (ended.name, ended.log) == ("train", f"{tmp_path}/out/x.log")
    assert (ended.result, ended.reason) == (("failed", f"exit code {status}") if status else ("passed", ""))


def test_a_result_that_cannot_be_written_down_ends_the_run(tmp_path):
    run = bash(STEP.replace("run_step", 'ln -sf /dev/full "${RUN[output_dir]}/steps.tsv"; run_step'), tmp_path, "false")
    assert run.status == 1
    assert "error: " in run.err
    assert "steps.tsv: cannot be written; is the disk full?" in run.err
    assert "status" not in run.out


def test_a_step_reads_nothing_from_the_terminal(tmp_path):
    assert "status 0" in step(tmp_path, "bash", "-c", "! read -r line").out


@pytest.mark.parametrize("hide", ["", "setsid", "nohup", "setsid nohup", "env -i"])
def test_what_a_step_leaves_running_is_ended(tmp_path, hide):
    run = step(tmp_path, "bash", "-c", f"{hide} sleep 300 & echo pid $!; sleep 0.2")
    assert run.out.endswith("gone\n")


def test_what_a_step_leaves_running_is_ended_though_it_does_not_want_to(tmp_path):
    stubborn = "trap '' TERM HUP INT; while :; do sleep 0.1; done"
    run = step(tmp_path, "bash", "-c", f'setsid bash -c "{stubborn}" & echo pid $!; sleep 0.2')
    assert run.out.endswith("gone\n")


def test_a_process_that_hides_cannot_hold_the_run(tmp_path):
    """It has left its group and dropped its environment, and keeps the pipe to the log open."""
    run = step(tmp_path, "bash", "-c", "env -i /usr/bin/setsid /bin/sleep 8 & sleep 0.2")
    assert "status 0" in run.out


def test_odd_output(tmp_path):
    text = "import sys; sys.stdout.write('x' * 1_000_000 + '\\n\\x1b[31m\\0\\x07\\xff' + 'no end'); sys.exit(4)"
    run = step(tmp_path, "python3", "-c", text)
    log = (tmp_path / "out" / "x.log").read_bytes()
    assert b"x" * 1_000_000 + b"\n" in log
    assert b"no end\n# ended: exit code 4" in log
    assert len(run.out.split("The last lines of")[1]) < 6000
    assert "status 4" in run.out


def test_the_log_begins_with_what_was_run_where_and_with_what(tmp_path):
    step(tmp_path, "echo", "a b")
    head = (tmp_path / "out" / "x.log").read_text().splitlines()
    assert [line.split(":")[0] for line in head[:7]] == [
        "# command",
        "# folder",
        "# versions",
        "# commit",
        "# tool",
        "# processor",
        "# started",
    ]
    assert head[0] == "# command: echo a\\ b"
    assert head[7] == "a b"


def test_steps_are_marked_apart_and_belong_to_the_step_that_started_them(tmp_path):
    run = step(tmp_path, "bash", "-c", "echo mark $TIPC_STEP", TIPC_STEP="outer")
    assert re.search(r"mark outer/\d+\.\d+\n", run.out)
