"""What tools/tables/versions.sh leaves of a pair of Paddle and Python, made up."""

import json

STEPS = {
    "classifier": ("mobilenet_v3_small_x0_35/lite_train_lite_infer", ("prepare", "train", "export", "agree")),
    "detector": ("CenterNet_MobileNetV3_small_x1_0/lite_train_lite_infer", ("prepare", "train", "export", "agree")),
    "serving": ("mobilenet_v3_small/serving_infer", ("prepare", "convert", "server cpu", "agree cpu")),
}
ENGINES = {"strict": 0.0, "paddle": 2e-6, "onednn": 1.6e-6}
PACKAGES = {"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86", "protobuf": "3.20.3"}


def write_tried(folder, paddle, python, **values):
    """The file that ends a trial."""
    lines = {"paddle": paddle, "python": f"{python}.1", "packages": "pinned", "reason": "", "format": "pdmodel"}
    lines.update({"processor": "some CPU", "date": "2026-01-02", "commit": "0123456789ab (clean tree)", **values})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tried").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


def write_part(folder, name, failing=None, said="", compared=True):
    """A chain's screen and summary.json; the step `failing` failed, and `said` is the last line of its log."""
    place, steps = STEPS[name]
    run = folder / "runs" / place
    run.mkdir(parents=True, exist_ok=True)
    rows = []
    for step in steps:
        log = run / f"{step.replace(' ', '_')}.log"
        last = said if step == failing else "done"
        log.write_text(f"# command: python {step}.py\nat work\n{last}\n# ended: exit code 0\n")
        rows.append({"name": step, "result": "failed" if step == failing else "passed", "log": str(log)})
    verdict = f"FAILED: 1 of 4 steps failed: {failing}" if failing else "passed: 4 steps, and all predictions agree"
    summary = {"passed": not failing, "compared": compared and not failing, "whole": not failing, "verdict": verdict}
    (run / "summary.json").write_text(json.dumps({**summary, "steps": rows}))
    screen = f"==== train ====\n# command: python train.py\n# commit: 01\n\n==== {place}: logs in {run} ====\n"
    (folder / f"{name}.log").write_text(screen + f"train  passed\n{verdict}\n")
    return 1 if failing else 0


def write_engines(folder, status=0, text="", engines=ENGINES):
    agreements = [{"engine": name, "largest": largest, "agrees": True} for name, largest in engines.items()]
    (folder / "runs/engines_all.json").write_text(json.dumps(agreements))
    lines = [f"{name}: largest difference {largest}: agrees" for name, largest in engines.items()]
    lines += ["gpu: not compared: this Paddle is the CPU build", "openvino: not compared: no OpenVINO in it", text]
    (folder / "engines.log").write_text("\n".join(lines) + "\n")
    return status


def write_packages(folder, **packages):
    lines = {**PACKAGES, **packages}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "packages.txt").write_text("".join(f"{name}=={version}\n" for name, version in lines.items()))


def write_pair(folder, paddle, python, **failing):
    """A pair in `folder`/<paddle>_<python>; `failing` maps parts to (step, what it said)."""
    place = folder / f"{paddle}_{python}"
    write_packages(place, paddlepaddle=paddle)
    statuses = {name: write_part(place, name, *failing.get(name, ())) for name in STEPS}
    statuses["engines"] = write_engines(place)
    (place / "parts.tsv").write_text("".join(f"{name}\t{status}\t7.5\t\n" for name, status in statuses.items()))
    write_tried(place, paddle, python)
    return place
