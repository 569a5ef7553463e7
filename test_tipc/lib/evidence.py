"""Keep the evidence of a passed run of a chain under test_log/<model>/, for reviewers.

    python test_tipc/lib/evidence.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer \\
        --model MobileNetV3_small_x1_0 --mode lite_train_lite_infer --renew

Copies log_train.txt and history.jsonl, the logs of both engines' predictions and of the comparison, and the summary,
and draws loss and accuracy as curves (where Matplotlib is installed); for a service, the logs of server and clients,
a request and its answers; of one that was tried with several settings, the log of a client for each, in the folder
serving_options. All files in a folder are of one training (or device): those of further ones are in folders of their
own.
Existing evidence is kept unless --renew is given. The output of a training that left no log_train.txt is kept as that;
there are no curves of a log without a loss, which was not judged.
Beside them come bundle.json and what it lists: the logs of the other steps, steps.tsv, junit.xml, inputs.sha256, the
configs that were used, and predictions of full precision (see bundle.py). bundle.json comes last, and only then a
folder is complete.
Modes other than lite_train_lite_infer have their own folder below test_log/<model>/. Of a quantisation after training,
and of the other chains that begin with an exported model, all logs are kept. Another run of provided weights leaves
no evidence.
Exit code: 0 kept, written, or nothing to keep, 1 the run has not passed as a whole, or something cannot be written.
"""

import argparse
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import bundle
from bundle_evidence import more_files
from curves import draw_curves
from page.report import try_report
from script import UserError, run_main
from steps import SKIPPED, read_steps
from train_log import NoLoss, read_train_log
from verdict import DEPLOYMENTS, SERVING, judge, tags_that_ran

# the name under test_log/ and the run's own file of a tag
LOGS = {
    "log_train.txt": "{tag}/log_train.txt",
    "history.jsonl": "{tag}/history.jsonl",
    "predict_training_engine.log": "{tag}_predict.log",
    "evaluate.log": "{tag}_eval.log",
    "agree_observed.log": "{tag}_agree_observed.log",
    "agree.log": "{tag}_agree.log",
}
SERVING_LOGS = {
    "python_server.log": "python_server_{tag}.log",
    "client_http.log": "python_client_{tag}_*http_batchsize_1.log",
    "client_grpc.log": "python_client_{tag}_*rpc_batchsize_1.log",
    "client_http_4_images.log": "python_client_{tag}_*http_batchsize_4.log",
    "request.json": "request_{tag}_*http_1.json",
    "answers.json": "answers_{tag}_*http_1.json",
    "agree.log": "agree_{tag}.log",
}
OPTIONS_LOGS = "server_infer_*.log"  # of a service that was tried with several settings
MAIN_MODE = "lite_train_lite_infer"
PROVIDED = "whole_infer"
LAST = ("summary.json", bundle.NAME)  # in their order: what comes last into a folder
OWN_FOLDERS = (bundle.CONFIGS, "predictions", "exported", "ranks")
WRITTEN = (".log", ".json", ".jsonl", ".txt", ".tsv", ".xml")


def files_of(folder, steps, tag, mode):
    """{name under test_log/: the run's own file} of one training or device."""
    logs = SERVING_LOGS if mode == SERVING else LOGS
    found = {name: sorted(folder.glob(pattern.format(tag=tag))) for name, pattern in logs.items()}
    # other trainings have logs of that kind, too: only the record knows whose they are
    inferred = sorted(Path(step.log) for step in steps if step.kind == "infer" and step.tag == tag and step.log)
    found["predict_inference_engine.log"] = [] if mode == SERVING else inferred
    if not found.get("log_train.txt", True):
        trained = (Path(step.log) for step in steps if step.kind == "train" and step.tag == tag and step.log)
        found["log_train.txt"] = [path for path in trained if path.is_file()]
    found["summary.json"] = [folder / "summary.json"]
    return {name: paths[0] for name, paths in found.items() if paths}


def files_of_options(folder, steps):
    """{name: file} of a service that was tried with several settings: a client's log for each, whose end says them."""
    logs = [Path(step.log) for step in steps if step.kind == "client" and step.log]
    logs = [path for path in logs if path.match(OPTIONS_LOGS) and path.is_file()]
    record = [folder / "results_serving.log", folder / "summary.json"] if logs else []
    return {path.name: path for path in [*logs, *record]}


def files_of_deployment(folder, steps):
    """{name: file}: the log of each step of a chain that begins with an exported model, the record, and the summary.

    A quantisation after training is one, too.
    """
    logs = [Path(step.log) for step in steps if step.log and Path(step.log).is_file()]
    return {path.name: path for path in [*logs, *folder.glob("results_*.log"), folder / "summary.json"]}


def read_curves(files, is_judged):
    """The `TrainLog` to draw; None for a service, and for a log without a loss unless that loss was judged."""
    try:
        return read_train_log(files["log_train.txt"]) if "log_train.txt" in files else None
    except NoLoss as error:
        if is_judged:
            raise
        print(f"evidence: without curves: {error}")
        return None


def copy_file(path, target, replaced):
    """Copy a file; in texts that runs write, paths of this machine become those that the commands have elsewhere."""
    if target.suffix in WRITTEN:
        text = path.read_bytes()
        for old, new in replaced:
            text = text.replace(old.encode(), new.encode())
        target.write_bytes(text)
    else:
        shutil.copyfile(path, target)


def keep(run, files, target, title, is_judged):
    """Copy the files and their bundle to the folder `target` and draw the curves of a training.

    All are complete before one appears. What the folder had of another run goes: bundle.json and summary.json before
    all others, and they come back as the last ones, so that a folder with a bundle.json is of one run.
    """
    files = {**files, **more_files(run, files)}
    curves = read_curves(files, is_judged)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evidence.", dir=target) as fresh:
        fresh = Path(fresh)
        for name, path in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, fresh / name, run.replaced())
        if curves and not importlib.util.find_spec("matplotlib"):
            print("evidence: without curves, since matplotlib is not installed")
        elif curves:
            draw_curves(curves, fresh / "curves.png", title)
            files["curves.png"] = fresh / "curves.png"
        bundle.write(fresh, bundle.make(run, files, fresh))
        replace_folder(fresh, target)
    try_report(target)


def replace_folder(fresh, target):
    """Move what is in `fresh` to `target`, in the place of what an earlier run left there."""
    names = [path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()]
    stale = stale_files(target) - set(names)
    for name in (*LAST, *sorted(stale)):
        (target / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: LAST.index(name) if name in LAST else -1):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).replace(target / name)
    for folder in {str(Path(name).parent) for name in stale} - {"."}:
        if not any((target / folder).iterdir()):
            (target / folder).rmdir()


def stale_files(target):
    """The names of the files that earlier runs left in a folder; those of folders below it are of other runs."""
    found = {*LOGS, *SERVING_LOGS, "predict_inference_engine.log", "curves.png"}
    found |= {path.name for path in target.glob(OPTIONS_LOGS)}
    found |= {path.name for path in target.glob("*.log") if target.name in (*DEPLOYMENTS, PROVIDED)}
    for folder in OWN_FOLDERS:
        found |= {path.relative_to(target).as_posix() for path in (target / folder).glob("*") if path.is_file()}
    try:
        listed = json.loads((target / bundle.NAME).read_text(encoding="utf-8"))["files"]
        found |= {name for name in listed if not name.startswith("/") and ".." not in Path(name).parts}
    except (OSError, ValueError, KeyError, TypeError):  # none, or one that is damaged
        pass
    return {name for name in found if (target / name).is_file()}


def keep_together(run, files, target, renew):
    """Files that are not of one training or device, in one folder."""
    if (target / "summary.json").is_file() and not renew:
        print(f"evidence: {target} is kept as it is; --evidence renews it")
    else:
        keep(run, files, target, target.name, is_judged=False)
        print(f"evidence: {target}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--to", type=Path, default=Path("test_log"))
    parser.add_argument("--renew", action="store_true")
    args = parser.parse_args()
    steps = read_steps(args.folder / "steps.tsv")
    verdict = judge(steps, args.mode)
    if not (verdict.passed and verdict.whole):
        raise UserError(f"{args.folder}: no evidence is kept of a run that is not whole ({verdict.sentence})")
    run = bundle.Run(args.folder, args.model, args.mode)
    target = args.to / args.model
    if args.mode == SERVING:
        target = target / "serving"
    elif args.mode != MAIN_MODE or (target / "training.json").is_file():  # the folder holds a whole training already
        target = target / args.mode
    if args.mode == PROVIDED:
        if any(step.kind == "quantise" for step in steps):
            keep_together(run, files_of_deployment(args.folder, steps), target, args.renew)
        return
    if args.mode == SERVING and (files := files_of_options(args.folder, steps)):
        keep_together(run, files, args.to / args.model / "serving_options", args.renew)
        return
    if args.mode in DEPLOYMENTS and args.mode != SERVING:
        keep_together(run, files_of_deployment(args.folder, steps), args.to / args.model / args.mode, args.renew)
        return
    needed = "python_server.log" if args.mode == SERVING else "log_train.txt"
    for number, tag in enumerate(tags_that_ran(steps)):
        files = files_of(args.folder, steps, tag, args.mode)
        place = target / tag if number else target
        if needed not in files:
            print(f"evidence: none of {tag}, which left no {needed}")
        elif (place / needed).is_file() and not args.renew:
            print(f"evidence: {place} is kept as it is; --evidence renews it")
        else:
            skipped = any((step.kind, step.tag, step.result) == ("converge", tag, SKIPPED) for step in steps)
            run = bundle.Run(args.folder, args.model, args.mode, tag)
            keep(run, files, place, f"{args.model}, {args.mode}", is_judged=not skipped)
            print(f"evidence: {place}")


if __name__ == "__main__":
    run_main(main)
