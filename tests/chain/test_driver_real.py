"""Real chains of the driver, one in each dialect, on 16 images of 32 pixels: train, evaluate, export, infer, agree."""

import itertools
import json
import re

import pytest
import yaml

from tests.helpers.bundles import bits_hash, differences, exact_entries, read_bundle
from tests.helpers.shell import ROOT, Chain

STEM = "norm_train_gpus_-1_autocast_null_nodes_1"


@pytest.fixture(scope="module")
def tiny(tree, tmp_path_factory):
    """A training config on 16 of the repository's images, 32 px, with the smallest network."""
    folder = tmp_path_factory.mktemp("tiny")
    content = yaml.safe_load((ROOT / "ppcls_lite/configs/lite_data.yaml").read_text())
    content["Global"].update(image_shape=[3, 32, 32], print_batch_step=1)
    content["Arch"]["name"] = "MobileNetV3_small_x0_35"
    for part, name in (("Train", "train"), ("Eval", "val")):
        lines = (ROOT / f"lite_data/{name}_list.txt").read_text().splitlines(keepends=True)
        chosen = lines[:: len(lines) // 16][:16]
        (folder / f"{name}_list.txt").write_text("".join(chosen))
        content["DataLoader"][part]["dataset"]["cls_label_path"] = str(folder / f"{name}_list.txt")
    lists = [content["DataLoader"][part]["dataset"]["transform_ops"] for part in ("Train", "Eval")]
    for operation in itertools.chain(*lists, content["Infer"]["transforms"]):
        for options in operation.values():
            for name in set(options or ()) & {"size", "resize_short"}:
                options[name] = 36 if name == "resize_short" else 32
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


LINE = (
    r"loss: \d+\.\d{5}, avg_reader_cost: \d+\.\d{5} sec, avg_batch_cost: \d+\.\d{5} sec, avg_samples: 8, "
    r"avg_ips: \d+\.\d{5} images/sec"
)


def assert_real_chain(run):
    assert run.status == 0, run.out + run.err
    assert "and all predictions agree" in run.out
    # four iterations are too few to judge the loss
    assert {name for name, result in run.results.items() if result != "passed"} - {"infer gpu"} == {"converge"}
    assert re.search(LINE, (run.folder / f"{STEM}.log").read_text())
    assert re.search(LINE, (run.folder / STEM / "log_train.txt").read_text())
    summary = json.loads((run.folder / "summary.json").read_text())
    figures = {step["name"]: step["figure"] for step in summary["steps"]}
    assert re.fullmatch(r"final loss \d+\.\d{5}", figures["train"])
    assert figures["agree"].startswith("strict 0, ")
    predicted = [step for step in summary["steps"] if step["name"].startswith("infer cpu")]
    assert all(step["figure"].startswith("oneDNN ") for step in predicted)
    settings = [setting["name"] for step in predicted for engine in step["engines"] for setting in engine["settings"]]
    assert {"oneDNN", "IR passes", "threads"} <= set(settings)
    logs = [(run.folder / name).read_text() for name in run.logs if "_predict" in name or "python_infer" in name]
    answers = [re.findall(r"class(?:_ids'| id\(s\)): (\[[\d, ]+\])", text) for text in logs]
    assert len(answers) >= 2
    assert len(answers[0]) == 5
    assert all(answer == answers[0] for answer in answers)


def assert_predictions_can_be_recomputed(evidence):
    """From the bundle alone: each engine against the other, and bits where bits must be equal."""
    content = read_bundle(evidence)
    found = differences(content, evidence)
    infer = [name for name in found if name.startswith("predictions/observed_infer")]
    assert infer
    for name in infer:  # logits of one, softmax of the other
        largest, limit, count = found[name]
        assert 0 < largest <= limit <= 1e-4
        assert count == 5
    assert found["predictions/agree_strict.json"] == (0, 0, 16)
    assert found["predictions/agree_usual_onednn.json"][0] <= 1e-4
    strict = exact_entries(content, evidence)["predictions/agree_strict.json"][1]
    assert all(bits_hash(one["rows"]) == one["sha256"] for one in strict["images"].values())
    kinds = {one["file"]: one["kind"] for one in content["lineage"] if one.get("file")}
    assert kinds["log_train.txt"] == "training"
    assert all(kinds[name] == "predictions" for name in found)
    assert sum(facts["bytes"] for facts in content["files"].values()) < 600_000


def test_a_real_chain_in_the_paddleclas_dialect_and_a_planted_fault(chain, tiny):
    for field, script in (("norm_train", "train"), ("eval", "eval"), ("norm_export", "export_model")):
        chain.set(field, f"tools/{script}.py -c {tiny}")
    chain.set("gpu_list", "0|-1").set("-o Global.device", "gpu").set("-o Global.use_gpu", "True|False")
    chain.set("inference", "python/predict_cls.py -c configs/inference_cls.yaml")
    assert_real_chain(chain.run("--evidence"))
    evidence = chain.tree / "test_log" / "small_net"
    assert {"log_train.txt", "curves.png", "summary.json"} <= {path.name for path in evidence.iterdir()}
    assert_predictions_can_be_recomputed(evidence)
    # what is requested and would not be in effect is skipped, never passed: oneDNN comes by the IR passes
    ours = chain.text
    chain.set("-o Global.enable_mkldnn", "True|False")
    chain.set("inference", "python/predict_cls.py -c configs/inference_cls.yaml -o Global.ir_optim=False")
    run = chain.run("--stage", "5", "--stop_stage", "5")
    (asked, *others) = [(result, reason) for name, result, reason in run.steps if name.startswith("infer cpu")]
    assert asked[0] == "skipped"
    assert "engine onednn: oneDNN is requested, and not in effect: 0 of " in asked[1]
    assert {result for result, _ in others} == {"passed"}
    chain.text = ours
    # a foreign program in the place of predict_cls.py: what it prints is not known to be a prediction
    chain.set("inference", f"{chain.programs}/infer.py -c configs/inference_cls.yaml")
    run = chain.run("--stage", "5")
    name, result, reason = run.steps[-1]
    assert (name, result) == ("agree observed", "skipped")
    assert reason.endswith("was not compared: nothing was observed of infer")
    chain.text = ours
    # another mean in the inference config: the comparison says no
    wrong = yaml.safe_load((ROOT / "deploy/configs/inference_cls.yaml").read_text())
    operations = yaml.safe_load(tiny.read_text())["Infer"]["transforms"]
    for operation in operations:
        if "NormalizeImage" in operation:
            operation["NormalizeImage"]["mean"] = [0.5, 0.5, 0.5]
    wrong["PreProcess"] = {"transform_ops": operations[1:]}
    (chain.folder / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    chain.set("inference", f"python/predict_cls.py -c {chain.folder}/wrong.yaml")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert run.steps[-2][:2] == ("agree observed", "failed")
    assert "the preprocessing disagrees: " in run.out
    assert "network input is the first stage that differs: another mean or standard deviation" in run.steps[-2][2]
    assert run.steps[-1][:2] == ("agree", "failed")
    assert "wrong.yaml: PreProcess.transform_ops[2].NormalizeImage.mean is [0.5, 0.5, 0.5], and Infer." in run.out


def test_a_real_chain_in_the_models_dialect(tree, tmp_path, tiny):
    chain = Chain(tree, tmp_path, "models")
    for field, script in (("norm_train", "train"), ("eval", "eval"), ("norm_export", "export_model")):
        chain.set(field, f"tools/{script}.py -c {tiny}")
    chain.set("inference", "deploy/python/predict_cls.py -c deploy/configs/inference_cls.yaml")
    chain.set("--img-path", "./test_images").set("--data-path", "null")
    for key, option in (
        ("\nuse-gpu:", "\n-o Global.device:"),
        ("True|True", "cpu"),
        ("--epochs:", "-o Global.epochs:"),
        ("--output-dir:", "-o Global.output_dir:"),
        ("--batch-size:lite", "-o DataLoader.Train.sampler.batch_size:lite"),
        ("lite_train_lite_infer=4|", "lite_train_lite_infer=8|"),
        ("--pretrained:", "-o Global.pretrained_model:"),
        ("--save-inference-dir:", "-o Global.save_inference_dir:"),
        ("--use-gpu:", "-o Global.use_gpu:"),
        ("--batch-size:", "-o Global.batch_size:"),
        ("--model-dir:", "-o Global.inference_model_dir:"),
        ("--img-path:", "-o Global.infer_imgs:"),
        ("--benchmark:", "-o Global.benchmark:"),
    ):
        chain.text = chain.text.replace(key, option)
    chain.text = chain.text.replace("lite_train_lite_infer=5|", "lite_train_lite_infer=2|")
    assert_real_chain(chain.run())
