"""test_tipc/docs/report.md: its commands run as they are printed, and what it shows of a terminal is what one shows."""

import re
import shutil
import subprocess

import pytest

from page.report import _CONTENTS
from tests.docs.test_bilingual import halves
from tests.helpers.documents import examples_of
from tests.helpers.scripts import LIMIT, ROOT

DOCUMENT = ROOT / "test_tipc/docs/report.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"```bash\n(.*?)\n```", TEXT, re.DOTALL)))


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A folder with the tool, the test images and one model's evidence."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "test_tipc").symlink_to(ROOT / "test_tipc")
    (folder / "test_images").symlink_to(ROOT / "test_images")
    shutil.copytree(ROOT / "test_log/MobileNetV3_small_x1_0", folder / "test_log/MobileNetV3_small_x1_0")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(ground, command):
    done = subprocess.run(["bash", "-c", command], cwd=ground, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")
    printed = {example.output for example in examples_of(TEXT) if example.command.strip() == command}
    assert printed <= {done.stdout}
    written = "index.html" if "index.py" in command else "MobileNetV3_small_x1_0/report.html"
    assert (ground / "test_log" / written).is_file()


def test_the_table_has_all_parts_of_the_page():
    english = halves(DOCUMENT)[1]
    rows = re.findall(r"^\| ([a-z ]+) \|", english.partition("## 2")[0], re.MULTILINE)
    assert len(rows) == 2 + len(_CONTENTS), "a head, the verdict, and the parts"


def test_the_lines_of_a_terminal_have_their_form():
    (shown,) = set(re.findall(r"```text\n((?:passed|skipped).*?)```", TEXT, re.DOTALL))
    *ended, running = shown.strip().split("\n")
    assert len(ended) >= 2
    for line in ended:
        assert re.fullmatch(r"(passed |skipped|failed )  \S.*  \d+\.\d s(  \S.*)?", line), line
    assert re.fullmatch(r"\S.*  [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] \d+ s  \S.*", running)


def test_the_image_is_small():
    assert 20_000 < (ROOT / "test_tipc/docs/images/report.png").stat().st_size < 150_000
