"""Where does a deployed model part from the network that was trained? Name the first stage that differs, and why.

    python test_tipc/lib/diagnose.py --reference observed/predict --model_dir output/inference \\
        --inferred observed/infer/cpu_usemkldnn_True --weights output/latest.pdparams --output diagnosis

    python test_tipc/lib/diagnose.py --reference forward_ref.npy --compared forward_paddle.npy

RECORD is a recording of a prediction or an evaluation (TIPC_OBSERVE=FOLDER, with TIPC_OBSERVE_DEEP=1 the operators and
the decoded images, too), or a file of reprod_log with the model's input and what the network made of it. One line is
printed for each stage, in the order in which an image passes them; the stages behind the first that differs are not
reached, unless --all is given. Two files of reprod_log are compared name by name.
Writes diagnose.json and diagnose.png (where Matplotlib is installed) to --output, and to --reprod files of reprod_log
with the outputs of all operators.
Exit code: 0 no stage differs; 1 one does (its name and cause are the last line), or something cannot be read (one line
on standard error); 77 nothing differs, and nothing could be compared.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import sys
import tempfile
import warnings
from pathlib import Path

from agreement.exported import CannotReplay, Exported, find_structure
from agreement.recording import Recording
from diagnosis.examination import STAGES, examine
from diagnosis.reprod.arrays import compare_reprod, read_reprod
from diagnosis.reprod.files import write_operators
from diagnosis.reprod.recording import reprod_recording
from diagnosis.stage import SAME
from diagnosis.subject import Subject
from diagnosis.verdict import first_of, save, sentence_of
from script import UserError, atomic_write, run_main

SKIPPED = 77


def main():
    args = _arguments()
    os.environ.setdefault("GLOG_v", "0")
    os.environ.setdefault("GLOG_minloglevel", "2")
    if args.compared:
        return _compare_files(args)
    with tempfile.TemporaryDirectory(prefix="diagnose_") as folder:
        try:
            subject = _subject(args, Path(folder))
        except CannotReplay as error:
            print(f"nothing could be compared: {error}")
            return SKIPPED
        stages = examine(subject, args.stage, args.all, _show)
        if args.reprod:
            count = write_operators(subject, args.reprod)
            print(f"{args.reprod}: reference.npy and export.npy have the outputs of {count} operators")
    first = first_of(stages)
    command = args.again or shlex.join(["python", sys.argv[0], *sys.argv[1:]])
    if first is not None and args.stage is None:
        command += f" --stage {shlex.quote(first.name)}"
    print(f"to see it again: {command}")
    if args.output:
        _write(args.output, stages, command)
    sentence = sentence_of(stages)
    if first is not None:
        raise UserError(sentence)
    print(f"verdict: {sentence}")
    return 0 if any(stage.result == SAME for stage in stages) else SKIPPED


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--reference", type=Path, metavar="RECORD", help="recording of the prediction, or a file of reprod_log")
    add("--evaluated", type=Path, metavar="RECORD", help="recording of the evaluation")
    add("--model_dir", type=Path, metavar="DIR", help="folder of the exported model")
    add("--inferred", type=Path, nargs="+", action="extend", default=[], metavar="RECORD",
        help="recordings of inference commands: the settings that they use are judged")  # fmt: skip
    add("--weights", type=Path, metavar="FILE", help="the checkpoint that was evaluated")
    add("--predict_log", type=Path, metavar="LOG", help="what the prediction printed")
    add("--infer_log", type=Path, nargs="+", action="extend", default=[], metavar="LOG",
        help="what the inference commands printed, one for each --inferred")  # fmt: skip
    add("--compared", type=Path, metavar="FILE", help="a file of reprod_log that is compared with --reference")
    add("--embeddings", action="store_true", help="the outputs [N, D] are embeddings, which are not of length 1")
    add("--stage", choices=STAGES, metavar="NAME", help=f"this stage only: {', '.join(STAGES)}")
    add("--all", action="store_true", help="examine the stages behind the first that differs, too")
    add("--output", type=Path, metavar="DIR", help="where diagnose.json and diagnose.png are written")
    add("--again", metavar="COMMAND", help="the command that a user would type, to be printed")
    add("--reprod", type=Path, metavar="DIR", help="where reference.npy and export.npy are written")
    args = parser.parse_args()
    if args.compared and not args.reference:
        parser.error("--compared: expected --reference with it")
    if not args.compared and not (args.model_dir and (args.reference or args.evaluated or args.inferred)):
        parser.error("expected --model_dir, and --reference, --evaluated or --inferred")
    if args.infer_log and len(args.infer_log) != len(args.inferred):
        counts = len(args.inferred), len(args.infer_log)
        parser.error(f"--infer_log: expected one for each --inferred ({counts[0]}), found {counts[1]}")
    return args


def _subject(args, folder):
    """The `Subject`; Paddle is imported once all files were found."""
    for file in (args.weights, args.predict_log, *args.infer_log):
        if file is not None and not file.is_file() and not Path(f"{file}.pdparams").is_file():
            raise UserError(f"{file}: no such file")
    arrays = read_reprod(args.reference) if args.reference and not args.reference.is_dir() else None
    references = {
        step: Recording(path)
        for step, path in (("evaluate", args.evaluated), ("predict", args.reference))
        if path is not None and (step == "evaluate" or arrays is None)
    }
    inferred = [Recording(path) for path in args.inferred]
    loaded = [file for recording in inferred for network in recording.networks.values() for file in network.files]
    structure = find_structure(args.model_dir, loaded)
    warnings.filterwarnings("ignore", module="paddle")  # it advises to install a compiler cache
    import paddle

    paddle.set_device("cpu")
    exported = Exported(structure, args.embeddings)
    if arrays is not None:
        references["predict"] = reprod_recording(args.reference, arrays, exported.feeds, folder / "reference")
    return Subject(exported, references, inferred, args.weights, args.predict_log, args.infer_log, _progress)


def _show(stage):
    _progress("")
    print(stage.line, *(f"    {line}" for line in stage.details), sep="\n", flush=True)


def _progress(words):
    """What is done now, in one line of a terminal that is overwritten."""
    if sys.stderr.isatty():
        print(f"\r\033[K{words[:100]}", end="", file=sys.stderr, flush=True)


def _write(folder, stages, command):
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "diagnose.json", stages, command, _versions())
    if importlib.util.find_spec("matplotlib") is None:
        print("note: no diagnose.png: Matplotlib is not installed")
        return
    from diagnosis.picture import draw

    first = first_of(stages)
    title = f"first stage that differs: {first.name}" if first else "no stage differs"
    with atomic_write(folder / "diagnose.png", "wb") as stream:
        draw(stages, stream, title)


def _versions():
    found = {"python": platform.python_version()}
    for name in ("paddlepaddle", "paddlepaddle-gpu", "numpy", "openvino", "onnxruntime", "paddle2onnx"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _compare_files(args):
    """Two files of reprod_log: a line for each name, as ReprodDiffHelper has them."""
    rows = compare_reprod(read_reprod(args.reference), read_reprod(args.compared))
    for row in rows:
        figures = "" if row.mean is None else f"mean difference {row.mean:.3g}, largest {row.largest:.3g}"
        words = ", ".join(filter(None, (figures, row.why)))
        print(f"{row.name}: {'same' if row.passed else 'differs'}, {words}")
    bad = next((row for row in rows if not row.passed), None)
    if bad is not None:
        reason = bad.why or f"by {bad.mean:.3g} on average, {bad.largest:.3g} at most"
        raise UserError(f"{bad.name} is the first array that differs: {reason}")
    print(f"verdict: all {len(rows)} arrays are the same")
    return 0


if __name__ == "__main__":
    run_main(main)
