"""Do the exported model and the script that deploys it compute what the trained network computed?

    python test_tipc/lib/agree.py inference --evaluated observed/evaluate --predicted observed/predict \\
        --inferred observed/infer/cpu_usemkldnn_True

Reads what the observer recorded of an evaluation, a prediction and inference commands, and prints one line per check:
preprocessing (the inputs of predict and infer), network (the recorded inputs through the exported model in strict mode)
and engine (the outputs of each inference command against strict mode).
Exit code: 0 network and engines agree; 1 something disagrees, or cannot be read (one line on standard error);
77 nothing disagrees, but the network or an engine could not be compared (the last line says why).
"""

import argparse
import json
import os
import warnings
from pathlib import Path

from agreement.engine import Engine, check_engine, setting_of
from agreement.exported import CannotReplay, Exported, find_structure
from agreement.network import check_network
from agreement.preprocessing import check_preprocessing
from agreement.printed import compare_printed, output_pairs
from agreement.printed_embeddings import compare_printed_embeddings
from agreement.recording import Recording
from agreement.result import AGREES, DISAGREES, NOT_COMPARED, not_compared
from bundle_recordings import same_images
from script import UserError, atomic_write, run_main

SKIPPED = 77


def main():
    args = _arguments()
    os.environ.setdefault("GLOG_v", "0")
    os.environ.setdefault("GLOG_minloglevel", "2")
    recordings = {
        step: Recording(folder)
        for step, folder in (("evaluate", args.evaluated), ("predict", args.predicted))
        if folder is not None
    }
    inferred = [Recording(folder) for folder in args.inferred]
    if any(recording.calls for recording in (*recordings.values(), *inferred)):
        try:
            exported = _open_model(args.model_dir, inferred, args.embeddings)
            results = _check(exported, recordings, inferred, args)
        except CannotReplay as error:
            results = _nothing(inferred, str(error))
    else:
        # no script called Paddle, or none that could be observed (`python -E`, a service, C++)
        results = _nothing(inferred, "nothing was observed: the scripts called no network of Paddle in Python")
    for result in results:
        print(result.line)
    if args.save:
        _save(args.save, results)
    return _end(results)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path, help="folder of the exported model")
    parser.add_argument("--evaluated", type=Path, metavar="FOLDER", help="recording of the evaluation")
    parser.add_argument("--predicted", type=Path, metavar="FOLDER", help="recording of the prediction")
    parser.add_argument("--inferred", type=Path, nargs="+", action="extend", default=[], metavar="FOLDER",
                        help="recordings of inference commands")  # fmt: skip
    parser.add_argument("--predict_log", type=Path, metavar="LOG", help="what the prediction printed")
    parser.add_argument("--infer_log", type=Path, nargs="+", action="extend", default=[], metavar="LOG",
                        help="what the inference commands printed, one for each --inferred")  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="the weights that evaluation and prediction load")
    parser.add_argument("--embeddings", action="store_true",
                        help="the outputs [N, D] are embeddings, which are not of length 1")  # fmt: skip
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="write the results as JSON")
    args = parser.parse_args()
    if not args.inferred:
        parser.error("--inferred: expected one folder at least")
    if args.infer_log and len(args.infer_log) != len(args.inferred):
        counts = len(args.inferred), len(args.infer_log)
        parser.error(f"--infer_log: expected one for each --inferred ({counts[0]}), found {counts[1]}")
    return args


def _nothing(inferred, why):
    """The results where nothing can be compared."""
    names = ["preprocessing", "network", *(f"engine {setting_of(recording.folder)}" for recording in inferred)]
    return [not_compared(name, why) for name in names]


def _open_model(folder, inferred, embeds):
    loaded = [file for recording in inferred for network in recording.networks.values() for file in network.files]
    structure = find_structure(folder, loaded)
    warnings.filterwarnings("ignore", module="paddle")  # it advises to install a compiler cache
    import paddle  # costs a second: only when the recordings and a model were found

    paddle.set_device("cpu")
    return Exported(structure, embeds)


def _check(exported, recordings, inferred, args):
    engines = [Engine(recording, exported) for recording in inferred]
    preprocessing, pairings = check_preprocessing(exported, recordings.get("predict"), engines)
    preprocessing.more["same_images"] = {name: same_images(pairing) for name, pairing in pairings.items()}
    network, replay = check_network(exported, recordings, args.weights)
    if args.predict_log and args.infer_log and network.result == AGREES:
        _check_printed(network, replay, pairings, engines, args)
    return [preprocessing, network, *map(check_engine, engines)]


def _check_printed(network, replay, pairings, engines, args):
    """A score that is printed otherwise in infer than in predict is a fault of the network behind Paddle's boundary."""
    network.more["printed"] = {}
    for engine, log in zip(engines, args.infer_log):
        if engine.name in pairings:
            pairs = output_pairs(pairings[engine.name], replay)
            compare = compare_printed_embeddings if pairs.are_embeddings else compare_printed
            printed = compare(pairs.rows, args.predict_log, log)
            network.more["printed"][engine.name] = printed.more
            if printed.fault and network.result == AGREES:
                network.result, network.why = DISAGREES, printed.fault


def _save(path, results):
    preprocessing, network, *engines = results
    content = {
        "preprocessing": preprocessing.as_dict(),
        "network": network.as_dict(),
        "engine": [{"name": engine.check, **engine.as_dict()} for engine in engines],
    }
    with atomic_write(path) as stream:
        json.dump(content, stream, indent=1, allow_nan=False)
        stream.write("\n")


def _end(results):
    """The exit code; UserError for the first check that disagrees."""
    for result in results:
        if result.result == DISAGREES:
            raise UserError(f"the {result.check} disagrees: {result.why}")
    for result in results[1:]:
        if result.result == NOT_COMPARED:
            print(f"the {result.check} was not compared: {result.why}")
            return SKIPPED
    return 0


if __name__ == "__main__":
    run_main(main)
