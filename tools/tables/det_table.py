"""The table of CenterNet's backbones: accuracy of each training, cost of each network, and the evidence of both.

    python tools/tables/det_table.py --measure output/det --weights pretrain_models \\
        --update docs/lightweight_backbone.md

--measure evaluates the best weights of every finished training in that folder (tools/tables/train_centernets.sh makes
it), exports them, times them on this CPU, writes log, history, curves and an image of predictions to
test_log/CenterNet_<Backbone>/, and keeps the figures in docs/measured/backbones.json. Without it, the table is made
from the kept figures.
--weights FOLDER keeps the weights too, and evaluates what was kept: a file that is larger than 25 MB becomes a folder
with one file per variable, stored as float16.
--update FILE puts the table between its two markers in FILE; otherwise it is printed.
Exit code: 0, or 1 for a training or a file that cannot be used.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from ppcls_lite.utils.log import setup_logging

KEPT = REPO / "docs/measured/backbones.json"
CONFIG = REPO / "ppcls_lite/configs/detection/centernet_stamps.yaml"
EVIDENCE = REPO / "test_log"
MOST_MB = 25.0  # of one file of weights
BEGIN, END = "<!-- backbone table: begin -->", "<!-- backbone table: end -->"
# key, heading, format
COLUMNS = (
    ("AP", "AP", "{:.3f}"),
    ("AP50", "AP50", "{:.3f}"),
    ("AP75", "AP75", "{:.3f}"),
    ("differs", "hyper-parameters that differ", "{}"),
    ("params_m", "parameters (M)", "{:.2f}"),
    ("flops_m", "FLOPs (M)", "{:.0f}"),
    ("cpu_ms", "CPU (ms)", "{:.1f}"),
    ("file_mb", "weights (MB)", "{:.1f}"),
)


def read_kept(path=KEPT):
    """The measurements that are kept: {"versions", "schedule", "backbones": {name: {...}}}."""
    if not path.is_file():
        raise UserError(f"{path}: nothing was measured yet; see --measure")
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        for row in kept["backbones"].values():
            for key, _, form in COLUMNS:
                form.format(row[key])
        return kept
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error!r}); delete it, and run --measure") from error


def measure(folder, config_path=CONFIG, kept_path=KEPT, evidence=EVIDENCE, weights=None):
    """Measure every finished training below `folder` and keep the figures; the others stay as they were kept."""
    trained = sorted(path.parent for path in Path(folder).glob("CenterNet_*/trained"))
    if not trained:
        raise UserError(f"{folder}: no finished training; tools/tables/train_centernets.sh makes them")
    choose_export_format()
    with quick_import():
        from tools.tables.det_measure import describe_schedule, measure_training
    import paddle

    kept = read_kept(kept_path) if kept_path.is_file() else {"backbones": {}}
    schedule = describe_schedule(load_config(config_path))
    if kept.get("schedule") != schedule:
        kept["backbones"] = {}  # rows of another schedule are not comparable
    kept.update(schedule=schedule, versions=f"Paddle {paddle.__version__}")
    for path in trained:
        name = path.name.partition("_")[2]
        options = [f"Arch.Backbone.name={name}", f"Global.pretrained_model={path / 'best_model'}"]
        config = load_config(config_path, options)
        print(f"measuring {path.name}", file=sys.stderr)
        if weights:
            kept_weights = weights_path(name, weights)
            keep_weights(config, kept_weights)
            config["Global"]["pretrained_model"] = str(kept_weights)
        kept["backbones"][name] = measure_training(config, path, Path(evidence) / path.name)
        kept["backbones"] = dict(sorted(kept["backbones"].items(), key=lambda item: item[1]["flops_m"]))
        with atomic_write(kept_path) as stream:
            json.dump(kept, stream, indent=1)
            stream.write("\n")


def keep_weights(config, target):
    """Write the weights of the config to `target`.pdparams as they are, or, if too large, to the folder `target`.

    What was kept there before is replaced.
    """
    from ppcls_lite.infer.export import save_persistable

    source, file = Path(f"{config['Global']['pretrained_model']}.pdparams"), Path(f"{target}.pdparams")
    shutil.rmtree(target, ignore_errors=True)
    if source.stat().st_size <= MOST_MB * 1e6:
        with open(source, "rb") as weights, atomic_write(file, "wb") as stream:
            shutil.copyfileobj(weights, stream)
    else:
        save_persistable(config, target, separate=True, float16=True)
        file.unlink(missing_ok=True)


def weights_path(name, folder="pretrain_models"):
    """Where the weights of a training are kept, less `.pdparams` where it is one file; the test configs name it so."""
    return Path(folder, f"CenterNet_{name}")


def find_weights(name):
    """Where they are from the root of the repository, None where none were kept."""
    path = weights_path(name)
    found = [place for place in (Path(f"{path}.pdparams"), path) if (REPO / place).exists()]
    return found[0] if found else None


def as_markdown(kept):
    """The table and a note on how to read it; `kept` None: nothing was measured."""
    if kept is None:
        return "Not measured yet.\n"
    heading = ["backbone", *(title for _, title, _ in COLUMNS), "evidence"]
    table = [heading, ["---", *["---:"] * (len(heading) - 2), "---"]]
    for name, row in kept["backbones"].items():
        log = f"../test_log/CenterNet_{name}"
        links = f"[log]({log}/log_train.txt), [curves]({log}/curves.png), [images]({log}/predictions.jpg)"
        if find_weights(name):
            links += f", [weights](../{find_weights(name)})"
        table.append([name, *(form.format(row[key]) for key, _, form in COLUMNS), links])
    lines = ["| " + " | ".join(line) + " |" for line in table]
    note = (
        f"{kept['schedule']} {kept['versions']}. Parameters are all numbers of the state dict; FLOPs those of "
        "`paddle.flops` for one image, a multiply-add counted once; CPU is the median time of the exported detector, "
        "decoding included, for one image with Paddle Inference, oneDNN and 2 threads: compare the rows."
    )
    return "\n".join([*lines, "", note]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", metavar="FOLDER", help="folder of the trainings, output/det")
    parser.add_argument("--update", metavar="FILE", type=Path)
    parser.add_argument("--kept", metavar="FILE", type=Path, default=KEPT, help="where the figures are kept")
    parser.add_argument("--config", metavar="FILE", default=CONFIG, help="of the trainings")
    parser.add_argument("--evidence", metavar="FOLDER", default=EVIDENCE, help="where the evidence goes, test_log")
    parser.add_argument("--weights", metavar="FOLDER", help="where the weights are kept, pretrain_models")
    args = parser.parse_args()
    setup_logging(stream=sys.stderr)
    if args.measure:
        measure(args.measure, args.config, args.kept, args.evidence, args.weights)
    block = as_markdown(read_kept(args.kept))
    show_block(args.update, BEGIN, END, block)


if __name__ == "__main__":
    run_main(main)
