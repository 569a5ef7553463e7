"""Every command of every document: its program is there, and reads all of its words.

Some documents are run word for word: see the tests of the table RUN; the others by test_commands_run.py, but for its
list of exceptions. All commands are read by the programs that they start: chains by their own plan (`--dry_run`),
Python scripts by their own parser and config reader, others by the files that they name. A command that none of these
can judge is on the list ELSEWHERE, with the test that runs it or the reason why none can; a command on no list fails.
"""

import json
import re
import shlex
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.helpers.scripts import LIMIT, ROOT, with_library
from tests.helpers.shell import bash

BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# documents whose commands a test runs, one after the other, and whose outputs it compares
RUN = {
    "README.md": "tests/docs/test_readme.py",
    "README_ch.md": "tests/docs/test_readme.py",
    "docs/step_by_step.md": "tests/docs/test_readme.py",
    "docs/step_by_step_ch.md": "tests/docs/test_readme.py",
    "docs/inference.md": "tests/docs/test_inference_doc.py",
    "docs/own_dataset.md": "tests/docs/test_own_dataset_doc.py",
    "docs/own_dataset_ch.md": "tests/docs/test_own_dataset_doc.py",
    "docs/own_model.md": "tests/docs/test_own_model_doc.py",
    "docs/own_model_ch.md": "tests/docs/test_own_model_doc.py",
    "docs/official_suite.md": "tests/suite/test_official_suite_doc.py",
    "docs/official_suite_ch.md": "tests/suite/test_official_suite_doc.py",
    "test_tipc/docs/any_project.md": "tests/docs/test_any_project_doc.py",
    "test_tipc/docs/check_submission.md": "tests/audit/test_document.py",
    "test_tipc/docs/doctor.md": "tests/doctor/test_document.py",
    "test_tipc/docs/report.md": "tests/page/test_report_doc.py",
}
# of a shell, or of every Linux
SHELL = {
    "cd",
    "cp",
    "cut",
    "mkdir",
    "sed",
    "ls",
    "rm",
    "mv",
    "grep",
    "head",
    "tail",
    "cat",
    "kill",
    "sleep",
    "echo",
    "git",
}
SHELL |= {"export", "unset", "source", "for", "until", "do", "done"}
# between two commands of a line, outside quotes
PARTS = re.compile(r"(?:&&|;|\|\||\| )(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")
# the first words of commands that nothing here can read: who runs them, or why nobody does
ELSEWHERE = {
    "adb": "needs a device; tests/lite run the same program under an emulator",
    "apt-get": "packages of the system; `.ci/run` installs them",
    "build/ppcls_infer": "tests/cpp build the program and run it",
    "cmake": "tests/cpp build the program",
    "curl": "tests/serving/test_nginx.py and test_open_inference.py ask the same",
    "docker": "tests/docker run what the image runs",
    "kubectl": "needs a cluster; tests/serving/test_kubernetes.py check the manifests",
    "make": "tests/lite build the program",
    "nginx": "tests/serving/test_nginx.py run it",
    "openssl": "tests/helpers/nginx.py run it",
    "pip": "tests/run.sh installs from the same lists",
    "ppcls_lite": "tests/quick run the installed command",
    "systemctl": "changes the system; tests/serving/test_systemd.py",
    "sudo": "needs a second network; the script's head says how it was run",
}
# and those of Python that start no script of ours, by their first three words
OTHERS = {
    "python -c 'import paddle; print(paddle.get_cudnn_version())'": "needs CUDA",
    "python -m ppcls_lite": "tests/quick run it",
    "python3 -m pip": "tests/quick install the command",
    "python3.13 -m venv": "the newest lane of tests/run.sh makes such an environment",
    ".venv-3.3.1/bin/python -m pip": "the newest lane of tests/run.sh makes such an environment",
}
# what the reader has, or a command before it makes: the test of the document runs both
MADE_BEFORE = re.compile(r"/path/to/|my_data\.yaml|MyNet|MiniNet|/mine/|/tmp/CenterNet|\.\./PaddleClas")
CONFIG = "test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python.txt"
PLACES = {"MODEL": "MobileNetV3_small_x1_0", "CONFIG": CONFIG, "MODE": "lite_train_lite_infer"}
PLACES |= {f"${name}": value for name, value in PLACES.items()}
PYTHON = re.compile(r"(?:\S*/)?python(?:3(?:\.\d+)?)?")
LAUNCH = ("-m", "paddle.distributed.launch")


class Command(NamedTuple):
    """A command line of a document, with the folder in which it runs."""

    document: str
    folder: str
    words: tuple


def documents():
    """The paths of all documents but evidence and those of the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", ":!test_log", ":!tests"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def commands_of(document, text):
    """The `Command`s of a document's text; a block may go on in the folder that the one before it had entered."""
    found, before = [], ""
    for block in BLOCK.findall(text):
        folder = ""
        for line in block.replace("\\\n", " ").splitlines():
            for words in filter(None, map(words_of, PARTS.split(re.sub(r"(^|\s)#.*", "", line)))):
                script = python_words(words)[0]
                if script and not (ROOT / folder / script).exists() and (ROOT / before / script).exists():
                    folder = before
                if words[0] == "cd":
                    folder = "" if words[1] == ".." else words[1]
                found.append(Command(document, folder, tuple(words)))
        before = folder
    return found


def words_of(text):
    """The words of a command without remark, variables before it, redirections, and the `&` behind it."""
    # what a substitution prints is not known, and may be anything
    text = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "SUBSTITUTED", text)
    words = shlex.split(re.sub(r"\s\d?>>?\s*\S+|\s2>&1", " ", text))
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    words = words[3:] if words[:2] == ["nice", "-n"] else words
    return [PLACES.get(word, word) for word in words if word != "&"]


def python_words(words):
    """The script and its words of a command of Python, ("", []) where it starts none of ours."""
    if tuple(words[1:3]) == LAUNCH:
        at = next((number for number, word in enumerate(words) if word.endswith(".py")), None)
        return (words[at], list(words[at + 1 :])) if at else ("", [])
    if len(words) > 1 and words[1].endswith(".py"):
        return words[1], list(words[2:])
    return "", []


COMMANDS = [command for name in documents() for command in commands_of(name, (ROOT / name).read_text(encoding="utf-8"))]


def is_python(command):
    """Whether it starts a Python script of this repository."""
    return bool(PYTHON.fullmatch(command.words[0]) and python_words(command.words)[0])


def is_chain(command):
    """Whether it starts a chain, whose own plan can be printed."""
    words = command.words
    return words[0] == "bash" and len(words) > 2 and re.fullmatch(r"test_tipc/test_\w+\.sh", words[1]) is not None


def test_documents_that_are_run_are_there():
    for document, test in RUN.items():
        assert (ROOT / document).is_file()
        assert document.removesuffix("_ch.md").removesuffix(".md") in (ROOT / test).read_text() or "README" in document


def test_python_scripts_read_their_words():
    listed = [command for command in dict.fromkeys(COMMANDS) if is_python(command)]
    assert len(listed) > 100
    found = problems_of([[command.folder, *python_words(command.words)] for command in listed])
    found = [f"{at.document}: {' '.join(at.words)}: {problem}" for at, problem in zip(listed, found) if problem]
    assert not [line for line in found if not MADE_BEFORE.search(line)]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["", "tools/train.py", ["-c", "ppcls_lite/configs/lite_data.yaml", "-o", "Global.epoch=3"]], "did you mean"),
        (["", "tools/train.py", ["-c", "ppcls_lite/configs/lite_dat.yaml"]], "no such config"),
        (["", "tools/data/make_digits.py", ["--output", "dataset", "--sed=1"]], "unrecognized"),
        (["deploy", "tools/train.py", []], "no such file"),
        (["deploy", "python/predict_cls.py", ["-c", "configs/inference_cls.yaml", "-o", "Arch.name=a"]], "Arch"),
    ],
)
def test_a_wrong_command_would_be_seen(command, problem):
    assert problem in problems_of([command])[0]


def problems_of(asked):
    """What the scripts' own parsers say of [[folder, script, words]]."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/helpers/read_commands.py"],
        input=json.dumps(asked),
        cwd=ROOT,
        env=with_library(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_chains_plan_what_the_documents_say():
    listed = sorted({command.words for command in COMMANDS if is_chain(command)})
    assert len(listed) > 40
    plans = (f"{line} --dry_run >/dev/null || echo FAILED {line}" for line in map(shlex.join, listed))
    run = bash('cd "$0" || exit\n' + "\n".join(plans))
    failed = [line for line in run.out.splitlines() if not MADE_BEFORE.search(line)]
    assert not failed, run.err


def test_shell_scripts_are_there_and_explain_their_words():
    for document, _, words in COMMANDS:
        if words[0] == "bash":
            path = ROOT / words[1]
            assert path.is_file(), (document, words)
            head = path.read_text(encoding="utf-8").partition("\n\n")[0]
            for word in words[2:]:
                known = not word.startswith("--") or word.partition("=")[0] in head or words[1] == "tests/run.sh"
                assert known or is_chain(Command(document, "", words)), (document, words, word)


def test_no_command_is_on_no_list():
    known = {"bash", *SHELL, *ELSEWHERE}
    lost = [command.words for command in COMMANDS if not (is_python(command) or command.words[0] in known)]
    assert {shlex.join(words[:3]) for words in lost} == set(OTHERS)


def test_the_lists_have_no_more_than_there_is():
    assert {command.words[0] for command in COMMANDS} >= set(ELSEWHERE)
