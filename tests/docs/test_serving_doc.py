"""The tables of combinations in test_tipc/docs/test_serving.md are those of the config that they are about."""

import re

import pytest

from tests.helpers.scripts import ROOT
from tests.helpers.shell import bash

CONFIG = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python_options.txt"
DOCUMENT = (ROOT / "test_tipc/docs/test_serving.md").read_text(encoding="utf-8")


def values(setting):
    """The set of values of a line of the config."""
    (value,) = re.findall(rf"^\S*{setting}:(.*)$", CONFIG.read_text(), re.MULTILINE)
    return set(value.split("|"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_tables_have_the_values_of_the_config(language):
    name = f"serving options {language}"
    table = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", DOCUMENT, re.DOTALL)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    cells = [[set(cell.split("/")) for cell in row] for row in rows]
    assert all(row[2] == values("--batch_size") for row in cells)
    (cpu,) = [row for row in cells if row[1] == {"CPU"}]
    assert (cpu[4], cpu[5]) == (values("use_mkldnn"), values("thread_num"))
    gpu = [row for row in cells if row[1] == {"GPU"}]
    assert set().union(*(row[3] for row in gpu)) == values("use_trt")
    assert set().union(*(row[6] for row in gpu)) == values("precision")
    count = len(values("--batch_size")) * len(values("use_mkldnn")) * len(values("thread_num"))
    (said,) = [re.search(r"(\d+) (?:种组合|combinations)", row[7])[1] for row in rows if row[1] == "CPU"]
    assert int(said) == count


def test_the_command_of_the_document_runs_every_combination():
    pattern = r"```bash\n(bash test_tipc/test_serving.sh \\\n.*_options.txt serving_infer)\n```"
    (command,) = re.findall(pattern, DOCUMENT)
    run = bash(f'cd "$0" && {command} --dry_run')
    assert run.status == 0, run.err
    planned = re.findall(r"^server (cpu_\S+): \(in ", run.out, re.MULTILINE)
    assert len(planned) == 8
    assert "cpu_usemkldnn_True_threads_6_batchsize_6" in planned
