"""The tables of what is certified come from configs and evidence, and nothing that failed is shown as passed."""

import json
import re
import shutil

import pytest

from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT, assert_one_line
from tools.tables import tipc_matrix
from tools.tables.bilingual import Writer, find_blocks
from tools.tables.tipc_facts import CLAIMED, FAILED, PROVEN, read_models

SCRIPT = "tools/tables/tipc_matrix.py"
DOCUMENTS = ("test_tipc/README.md", "test_tipc/docs/test_train_inference_python.md", "README.md", "README_ch.md")
CPU_TAG = "norm_train_gpus_-1_autocast_null_nodes_1"


@pytest.fixture(scope="module")
def models():
    return read_models()


def stale_blocks(path, models, text=None):
    """The blocks of a document that are not what the script writes."""
    text = path.read_text(encoding="utf-8") if text is None else text
    found = []
    for begin, end, table, language in find_blocks(path, tipc_matrix.KIND, tipc_matrix.TABLES):
        shown = text.partition(begin + "\n")[2].partition(end)[0]
        if shown != table(models, Writer(tipc_matrix.WORDS, language, path.parent)):
            found.append(begin)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tables_are_up_to_date(name, models):
    assert stale_blocks(ROOT / name, models) == [], f"run: python {SCRIPT} --update {' '.join(DOCUMENTS)}"


def test_a_stale_table_is_found(models):
    path = ROOT / "test_tipc/README.md"
    text = path.read_text(encoding="utf-8")
    first, second = "<!-- tipc matrix zh: begin -->", "<!-- tipc matrix en: begin -->"
    assert stale_blocks(path, models, text.replace("○ GPU", "✓ GPU", 1)) == [first]
    assert stale_blocks(path, models, re.sub(r"\| \[MixNet\].*\n", "", text)) == [first, second]


def test_every_config_has_a_line(models):
    configs = {path.parent.name for path in (ROOT / "test_tipc/configs").glob("*/*.txt")}
    assert {path.split("/")[2] for model in models for path in model.configs} == configs
    assert len({model.name for model in models}) == len(models)


def test_every_evidence_is_seen(models):
    kept = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "test_log").rglob("summary.json")}
    assert {run.folder for model in models for run in model.runs} == kept


def test_several_processes_on_the_cpu_are_no_gpus(models):
    places = {model.name: {claim.what[0] for claim in model.training} for model in models}
    assert places["mobilenet_v3_small"] == {"cpu", "processes"}
    assert {"processes", "multiple", "fleet"} < places["MobileNetV3_small_x1_0"]


# ---- a project with one model, whose config and evidence a test may spoil


class Project:
    """A folder with configs and kept runs of ShuffleNetV2_x1_0."""

    name = "ShuffleNetV2_x1_0"

    def __init__(self, root):
        self.root = root
        self.configs = root / "test_tipc/configs" / self.name
        self.configs.mkdir(parents=True)
        for name in ("train_infer_python.txt", "serving_infer_python.txt"):
            shutil.copy(ROOT / "test_tipc/configs" / self.name / name, self.configs)

    def change_config(self, old, new, name="train_infer_python.txt"):
        text = (self.configs / name).read_text()
        assert old in text
        (self.configs / name).write_text(text.replace(old, new))

    def keep(self, steps, folder="", **more):
        """Keep a run with steps (tag, name, result); returns the path of its summary."""
        path = self.root / "test_log" / self.name / folder / "summary.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = ("tag", "name", "result")
        kept = [{**dict(zip(keys, step)), "figure": ""} for step in steps]
        summary = {"model": self.name, "mode": "lite_train_lite_infer", "passed": True, "whole": True, "steps": kept}
        path.write_text(json.dumps({**summary, **more}))
        return path

    @property
    def model(self):
        (model,) = read_models(self.root)
        return model

    def row(self):
        """The cells of the line of the matrix: base training, more, compression, deployment."""
        text = tipc_matrix.matrix([self.model], Writer(tipc_matrix.WORDS, "en", ROOT))
        return [cell.strip() for cell in text.splitlines()[2].strip("|").split("|")][3:]


def steps_of(tag=CPU_TAG, device="cpu", options="usemkldnn_True_threads_2_precision_False_batchsize_1", **results):
    """The steps of a run that passed; `results` gives some another result."""
    names = {"train": "train", "infer": f"infer {device} {options}", "agree": "agree"}
    return [(tag, name, results.get(kind, "passed")) for kind, name in names.items()]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_without_evidence_nothing_is_passed(project):
    assert project.row() == ["○ CPU<br>○ GPU", "", "", "Paddle Serving: Python<br>○ CPU, ○ GPU"]


def test_a_run_that_passed_is_shown_with_its_folder(project):
    project.keep(steps_of())
    assert project.row()[0] == "✓ [CPU](test_log/ShuffleNetV2_x1_0)<br>○ GPU"
    states = {claim.what[:3]: claim.state for claim in project.model.inference}
    assert states == {("cpu", "True", "2"): PROVEN, ("cpu", "False", "2"): CLAIMED, ("gpu", "False", None): CLAIMED}


@pytest.mark.parametrize("spoilt", [{"passed": False}, {"passed": "yes"}, {"whole": False}], ids=str)
def test_a_run_that_failed_is_never_shown_as_passed(project, spoilt):
    project.keep(steps_of(), **spoilt)
    assert project.row()[0].startswith("✗ [CPU](test_log/")
    assert {claim.state for claim in (*project.model.training, *project.model.inference)} == {FAILED}
    assert "✓" not in "".join(project.row())


@pytest.mark.parametrize("result", ["failed", "began", "not run"])
@pytest.mark.parametrize("step", ["train", "infer", "agree"])
def test_a_step_that_contradicts_the_summary_is_believed(project, step, result):
    project.keep(steps_of(**{step: result}))
    assert "✓" not in "".join(project.row())


@pytest.mark.parametrize("step", ["train", "infer", "agree"])
def test_a_step_that_was_skipped_shows_nothing(project, step):
    project.keep(steps_of(**{step: "skipped"}))
    assert "✓" not in project.row()[0]


def test_the_evidence_of_one_thing_is_not_that_of_another(project):
    project.change_config("gpu_list:0|-1", "gpu_list:0|-1|0,1|ip1,ip2;0,1")
    project.change_config("auto_cast:null", "auto_cast:null|amp")
    project.change_config("fpgm_train:null", "fpgm_train:tools/train.py")
    project.change_config("trainer:norm_train", "trainer:norm_train|fpgm_train")
    project.keep(steps_of())
    base, more, compression, _ = project.row()
    assert base == "✓ [CPU](test_log/ShuffleNetV2_x1_0)<br>○ GPU"
    assert more == "○ mixed precision<br>○ several GPUs<br>○ several machines"
    assert compression == "○ FPGM"
    gpus = {"device": "gpu", "options": "usetrt_False_precision_False_batchsize_1"}
    project.keep(steps_of(tag="norm_train_gpus_0,1_autocast_null_nodes_1", **gpus), "two")
    project.keep(steps_of(tag="fpgm_train_gpus_-1_autocast_null_nodes_1"), "pruned")
    base, more, compression, _ = project.row()
    assert base.endswith("○ GPU")
    assert "✓ [several GPUs](test_log/ShuffleNetV2_x1_0/two)" in more
    assert "○ several machines" in more
    assert "✓ [FPGM](test_log/ShuffleNetV2_x1_0/pruned)" in compression


def test_a_further_config_of_the_folder_has_its_own_evidence(project):
    text = (project.configs / "train_infer_python.txt").read_text()
    text = text.replace(f"model_name:{project.name}", f"model_name:{project.name}_fleet")
    fleet = text.replace("gpu_list:0|-1", "gpu_list:-1,-1|ip1,ip2;-1,-1")
    assert fleet.count("-1,-1") == 2
    (project.configs / "train_fleet_infer_python.txt").write_text(fleet)
    project.keep(steps_of())
    assert project.row()[:2] == [
        "✓ [CPU](test_log/ShuffleNetV2_x1_0)<br>○ GPU",
        "○ CPU processes<br>○ several machines, CPU",
    ]
    kept = project.keep(steps_of(tag="norm_train_gpus_-1,-1_autocast_null_nodes_1"), model=f"{project.name}_fleet")
    folder = project.root / "test_log" / f"{project.name}_fleet"
    folder.mkdir()
    kept.rename(folder / kept.name)
    project.keep(steps_of())
    assert project.row()[:2] == [
        "✓ [CPU](test_log/ShuffleNetV2_x1_0)<br>○ GPU",
        "✓ [CPU processes](test_log/ShuffleNetV2_x1_0_fleet)<br>○ several machines, CPU",
    ]


@pytest.mark.parametrize(("step", "mark"), [("quantise", "✓ [quant"), ("export", "○ quant")])
def test_a_quantisation_after_training_is_shown_where_it_ran(project, step, mark):
    project.change_config("kl_quant:null", "kl_quant:deploy/slim/quant_post_static.py")
    project.keep([("provided", name, "passed") for name in (step, "infer cpu", "agree")], mode="whole_infer")
    assert project.row()[2].startswith(mark)


def test_a_trainer_of_mixed_precision_that_ran_in_full_precision_proves_no_other(project):
    project.change_config("trainer:norm_train", "trainer:amp_train")
    project.change_config("\nnorm_train:", "\namp_train:")
    for autocast, shown in (("fp32", "○ mixed precision"), ("null", "✓ [mixed precision](test_log/ShuffleNetV2_x1_0)")):
        gpus = {"device": "gpu", "options": "usetrt_False_precision_False_batchsize_1"}
        project.keep(steps_of(tag=f"amp_train_gpus_0_autocast_{autocast}_nodes_1", **gpus))
        assert shown in project.row()[1]


def test_a_service_is_shown_for_the_device_that_answered(project):
    steps = [("cpu", "server cpu", "passed"), ("cpu", "agree cpu", "passed"), ("gpu", "server gpu", "skipped")]
    project.keep(steps, "serving", mode="serving_infer")
    link = "[CPU](test_log/ShuffleNetV2_x1_0/serving)"
    assert project.row()[-1] == f"Paddle Serving: Python<br>✓ {link}, ○ GPU"
    project.keep(steps[:1], "serving", mode="serving_infer")
    assert project.row()[-1] == "Paddle Serving: Python<br>○ CPU, ○ GPU"


def test_what_has_no_config_is_empty(project):
    for path in project.configs.glob("*serving*"):
        path.unlink()
    project.keep([("cpu", "agree cpu", "passed")], "serving", mode="serving_infer")
    assert project.row()[-1] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "summary.json: cannot be read as the summary of a run"),
        ("{}", "summary.json: cannot be read as the summary of a run"),
        ('{"model": "Other", "mode": "m", "passed": true, "steps": []}', "found one of Other"),
    ],
)
def test_a_damaged_or_foreign_summary_is_an_error(project, text, message):
    project.keep(steps_of()).write_text(text)
    with pytest.raises(UserError, match=message):
        read_models(project.root)


def test_configs_that_cannot_be_used_are_errors(project):
    (project.configs / "other.txt").write_text("===other_params===\nmodel_name:ShuffleNetV2_x1_0\nwhat:x\n")
    with pytest.raises(UserError, match=r"other.txt: no column of the table is for a config of this kind"):
        read_models(project.root)
    (project.configs / "other.txt").write_text("===other_params===\nwhat:x\n")
    with pytest.raises(UserError, match=r"other.txt: expected a line model_name"):
        read_models(project.root)
    (project.configs / "other.txt").write_text("===other_params===\nmodel_name:NobodysNet\n")
    with pytest.raises(UserError, match="no series has a pattern for the model 'NobodysNet'"):
        read_models(project.root)
    (project.configs / "other.txt").write_text("===train_params===\nmodel_name:X\n")
    with pytest.raises(UserError, match=r"other.txt"):
        read_models(project.root)


# ---- the command


def test_update_renews_only_the_blocks(run_here, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- tipc accuracy en: begin -->\nold\n<!-- tipc accuracy en: end -->\nbelow\n")
    assert run_here(SCRIPT, "--update", page).status == 0
    text = page.read_text()
    assert text.startswith("above\n<!-- tipc accuracy en: begin -->\n| model | data |")
    assert text.endswith("<!-- tipc accuracy en: end -->\nbelow\n")
    page.write_text("no block\n")
    assert_one_line(run_here(SCRIPT, "--update", page), "page.md: expected a line such as '<!-- tipc matrix zh: begin")
    assert_one_line(run_here(SCRIPT, "--update", tmp_path / "absent.md"), "absent.md")


def test_the_accuracy_of_the_readme_is_that_of_the_evidence(models):
    text = tipc_matrix.accuracy(models, Writer(tipc_matrix.WORDS, "en", ROOT))
    log = (ROOT / "test_log/MobileNetV3_small_x1_0/whole_train_whole_infer/evaluate.log").read_text()
    (top1,) = set(re.findall(r"\[Eval\]\[Avg\].*top1: ([.\d]+)", log))
    assert f"| MobileNetV3_small_x1_0 | scanned digits | top1 | **{top1}** |" in text
    assert "ppcls_lite/configs/digits.yaml" in log
