"""When test_tipc/run_all.sh runs a model again, and when a run that passed before is enough."""

import json
import shutil
import subprocess

from tests.helpers.models import MODE, SCRIPT
from tests.helpers.scripts import LIMIT


def test_certifies_once_for_the_same_ground(copy):
    copy.add("model")
    code = copy.root / "ppcls_lite/utils/files.py"  # which no step of these chains imports
    first = copy.run(MODE)
    assert first.status == 0, first.out + first.err
    assert "==== train ====" in first.out

    again = copy.run(MODE)
    assert again.status == 0
    assert "passed before" in again.out
    assert "==== train ====" not in again.out
    assert copy.rows["model"]["train"] == "passed"
    assert copy.matrix["verdict"] == "passed: 1 model, 1 of them before; predictions NOT compared: model"

    unrelated_files = ("notes.md", "all.log", "nohup.out", "tests/test_new.py")
    for unrelated in (*unrelated_files, "test_tipc/configs/other/train_infer_python.txt"):
        (copy.root / unrelated).parent.mkdir(parents=True, exist_ok=True)
        (copy.root / unrelated).write_text("nothing\n")
    assert "passed before" in copy.run(MODE).out
    assert "==== train ====" in copy.run(MODE, "--again").out

    code.write_text(code.read_text() + "# changed\n")
    assert "==== train ====" in copy.run(MODE).out
    (copy.root / "ppcls_lite/new.py").write_text("# not yet known to git\n")
    assert "==== train ====" in copy.run(MODE).out
    code.rename(copy.root / "ppcls_lite/utils/moved.py")
    assert "==== train ====" in copy.run(MODE).out
    moved = copy.root / "ppcls_lite/utils/moved.py"
    moved.write_text(moved.read_text() + "# changed where it is now\n")
    assert "==== train ====" in copy.run(MODE).out
    fake = copy.root / "fake.py"  # which the config names
    fake.write_text(SCRIPT + "# changed\n")
    assert "==== train ====" in copy.run(MODE).out
    copy.add("model", train="--more")
    assert "==== train ====" in copy.run(MODE).out
    assert "passed before" in copy.run(MODE).out


def test_what_a_config_names_belongs_to_the_certificate(copy, tmp_path):
    """However it is spelt: quoted, glued to its option, without a suffix, in a YAML, or as a folder."""
    data = tmp_path / "my data"
    (data / "images").mkdir(parents=True)
    for name in ("quoted name.yaml", "glued.yaml", "weights.pdparams", "labels.txt", "images/one.jpg", "named.txt"):
        (data / name).write_text("first\n")
    (data / "glued.yaml").write_text(f"Infer:\n  class_id_map_file: '{data}/labels.txt'  # a comment\n")
    (copy.root / "mine").symlink_to(data)
    train = f"-c 'mine/quoted name.yaml' -cmine/glued.yaml -o Global.pretrained_model={data.parent}/x:1"
    copy.add("model", train=train)
    config = copy.root / "test_tipc/configs/model/train_infer_python.txt"
    text = config.read_text().replace("--image:x.jpg", "--image:mine/images")
    config.write_text(text.replace("null:null\ntrain_model_name", "weights:mine/weights\ntrain_model_name"))
    assert copy.run(MODE).status == 0
    assert "passed before" in copy.run(MODE).out
    for name in ("quoted name.yaml", "glued.yaml", "weights.pdparams", "images/one.jpg"):
        with (data / name).open("a") as stream:
            stream.write("# more\n")
        outcome = copy.run(MODE)
        assert f"run again: test_tipc/output/model/{MODE}: code, config, data or versions have" in outcome.out, name
        assert outcome.status == 0
    (data / "images/two.jpg").write_text("new")
    assert "==== train ====" in copy.run(MODE).out
    (data / "named.txt").write_text("nobody names it")
    assert "passed before" in copy.run(MODE).out


def test_a_copy_inside_another_repository_is_hashed_itself(copy, tmp_path):
    """Its files are not those of the repository around it, nor is that one's commit its own."""
    shutil.rmtree(copy.root / ".git")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "another"], check=True)
    copy.add("model")
    assert copy.run(MODE).status == 0
    assert copy.matrix["commit"] == "none (no git repository)"
    assert "passed before" in copy.run(MODE).out
    (copy.root / "ppcls_lite/new.py").write_text("# new code\n")
    assert "==== train ====" in copy.run(MODE).out


def test_a_failure_is_no_certificate(copy):
    copy.add("model")
    assert copy.run(MODE).status == 0
    copy.add("model", train="fails")
    for _ in range(2):
        outcome = copy.run(MODE)
        assert outcome.status == 1
        assert "passed before" not in outcome.out
    assert copy.rows["model"]["train"] == "failed"
    copy.add("model")
    # the files of the passed run were replaced: it counts no more
    assert "==== train ====" in copy.run(MODE).out


def test_any_run_in_the_folder_ends_the_certificate(copy):
    copy.add("model")
    config = "test_tipc/configs/model/train_infer_python.txt"
    driver = ["bash", "test_tipc/test_train_inference_python.sh", config, MODE]

    def drive(*options):
        environment = {**copy.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([*driver, *options], cwd=copy.root, env=environment, capture_output=True, timeout=LIMIT)

    assert copy.run(MODE).status == 0
    assert drive("--stage", "5").returncode == 0  # a run that passes as a whole is one, too
    assert "passed before" in copy.run(MODE).out
    assert drive("--stop_stage", "2").returncode == 0  # one that leaves steps out is not
    outcome = copy.run(MODE)
    assert "run again: test_tipc/output/model/lite_train_lite_infer: its last run: passed: 3 steps" in outcome.out
    model = next((copy.root / "test_tipc/output/model").rglob("inference.pdmodel"))
    model.write_text("mODEL")
    outcome = copy.run(MODE)
    assert f"{model.relative_to(copy.root)} is not what the run left" in outcome.out
    assert "==== train ====" in outcome.out
    summary = copy.root / "test_tipc/output/model" / MODE / "summary.json"
    content = json.loads(summary.read_text())
    summary.write_text(json.dumps({**content, "passed": False, "verdict": "FAILED: planted"}))
    assert "its last run: FAILED: planted" in copy.run(MODE).out
