"""The table of networks: the documents show the output of the command, and measured and quoted figures are apart."""

import json

import pytest

from ppcls_lite.utils.config import read_yaml
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import model_table

TABLE = "tools/tables/model_table.py"
DOCUMENTS = (ROOT / "docs/models.md",)
QUOTED = read_yaml(ROOT / "docs/measured/quoted.yaml")
BEGIN, END = "<!-- model table: begin -->\n", "<!-- model table: end -->"


def block(path):
    return path.read_text().partition(BEGIN)[2].partition(END)[0]


@pytest.fixture
def table(monkeypatch, tmp_path):
    """The module, with a copy of the kept measurements that a test may spoil."""
    kept = tmp_path / "kept.json"
    kept.write_text(model_table.MEASURED.read_text())
    monkeypatch.setattr(model_table, "MEASURED", kept)
    return model_table


def test_documents_show_the_output_of_the_command(run_here):
    outcome = run_here(TABLE, "--markdown")
    assert outcome.status == 0
    for document in DOCUMENTS:
        command = f"python tools/tables/model_table.py --measure --update {document.relative_to(ROOT)}"
        assert block(document) == outcome.out, f"run: {command}"


def test_kept_measurements_belong_to_these_sources(table):
    kept = json.loads((ROOT / "docs/measured/models.json").read_text())
    assert kept["structure"] == table.structure_hash(), "run: python tools/tables/model_table.py --measure"
    assert list(kept["networks"]) == list(table.ALL)


@pytest.mark.parametrize("name", ["MobileNetV3_small_x1_0", "ShuffleNetV2_x1_0", "MixNet_S", "PPHGNetV2_B0"])
def test_kept_figures_are_measured_again(table, name):
    kept = table.kept_measurements(ROOT / "docs/measured/models.json")
    assert kept["networks"][name] == table.measure([name], {"networks": {}})["networks"][name]


def test_measured_figures_are_those_of_the_documents(table):
    networks = json.loads(table.MEASURED.read_text())["networks"]
    for size in "SML":
        stated, measured = QUOTED["networks"][f"MixNet_{size}"], networks[f"MixNet_{size}"]
        assert round(measured["flops_m"], 3) == stated["flops_m"]
        # the document has 5.065 for MixNet_M, its official state dict 5.056
        assert round(measured["params_m"], 3) == (5.056 if size == "M" else stated["params_m"])


def test_changed_sources_are_measured_again(table, tmp_path):
    arch = tmp_path / "arch"
    arch.mkdir()
    (arch / "mixnet.py").write_text("one")
    first = table.structure_hash(arch)
    (arch / "pretrained.py").write_text("# no structure")
    assert table.structure_hash(arch) == first
    (arch / "mixnet.py").write_text("two")
    assert table.structure_hash(arch) != first

    kept = json.loads(table.MEASURED.read_text())
    kept["networks"]["MixNet_S"]["params_m"] = 1.0
    table.MEASURED.write_text(json.dumps({**kept, "structure": first}))
    stale = table.kept_measurements(table.MEASURED)
    assert stale["networks"] == {}
    assert table.measure(["MixNet_S"], stale)["networks"]["MixNet_S"]["params_m"] == 4.166798


def test_measured_and_quoted_figures_are_marked(run_here):
    rows = json.loads(run_here(TABLE, "--json", "MixNet_L", "MobileNetV3_small_x1_0", "ResNet18").out)["networks"]
    assert [row["name"] for row in rows] == ["MixNet_L", "MobileNetV3_small_x1_0", "ResNet18"]
    assert rows[0]["measured"]["flops_m"] == pytest.approx(579.01706)
    assert rows[0]["quoted"]["latency_ms"] == [3.16, 5.55, 8.03]
    assert "MixNet series" in rows[0]["quoted"]["source"]["title"]
    assert (rows[1]["quoted"]["size_mb"], rows[1]["quoted"]["top1"]) == (17, 68.2)
    assert rows[2]["quoted"] == {}
    text = run_here(TABLE, "MixNet_L").out
    heading, kinds, row, *notes = text.splitlines()
    assert heading.count("parameters (M)") == 2
    assert kinds.split().count("measured") == 3
    assert kinds.split().count("quoted") == 6
    assert row.split()[:2] == ["MixNet_L", "7.384"]
    assert any(note.startswith("Measured here with Paddle") for note in notes)
    assert sum("Quoted, not measured" in note for note in notes) == len(QUOTED["sources"])


def test_every_network_here_can_be_named(run_here):
    assert run_here(TABLE, "MobileNetV3_small_x0_35").status == 0
    assert_one_line(run_here(TABLE, "MixNet_X"), "MixNet_X", "did you mean")


def test_update_keeps_the_rest_of_the_file(run_here, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n\n{BEGIN}old\n{END}\n\nbelow\n")
    assert run_here(TABLE, "--update", page).status == 0
    assert page.read_text() == f"above\n\n{BEGIN}{block(DOCUMENTS[0])}{END}\n\nbelow\n"


@pytest.mark.parametrize("text", ["none\n", f"{BEGIN}one\n", f"{END}\n{BEGIN}", f"{BEGIN}{END}\n{BEGIN}"])
def test_update_refuses_a_file_without_the_markers(run_here, tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert_one_line(run_here(TABLE, "--update", page), str(page), "model table: begin")
    assert page.read_text() == text
    assert_one_line(run_here(TABLE, "--update", tmp_path / "absent.md"), "absent.md")
