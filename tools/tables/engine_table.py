"""Print how far every engine's probabilities are from the trained network's, for the networks of the documents.

    python tools/tables/engine_table.py MixNet_S
    python tools/tables/engine_table.py --measure --update docs/models.md

Without --measure the table is made of docs/measured/engines.json; with it, the networks named (all, by default) are
measured again and kept there, which takes some minutes. The measurement uses eight images of lite_data at the size of
the ImageNet recipe, and filled weights (ppcls_lite/benchmark/filled.py): an untrained network hides differences, since
all its probabilities are alike.
Exit code: 0, or 1 for an unknown network or a file that cannot be used.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.benchmark.filled import CONFIGS, export_filled
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, nearest, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.schema import DEPLOY
from tools.tables.model_table import NETWORKS

MEASURED = REPO / "docs/measured/engines.json"
BEGIN, END = "<!-- engine table: begin -->", "<!-- engine table: end -->"
IMAGES = 8
LAST_BIT = "last bit"
_HOW = (
    "The largest difference of a probability, over {} images and all classes, measured with {}. `strict` is "
    "Paddle Inference without optimisations against the training engine, `0` meaning equal bit by bit; the others are "
    "compared with `strict`, and agree when within 1e-4 and with the same top-5. `last bit` is not an engine: it "
    "is the training engine itself on images of which every pixel was moved by its last bit, so an engine that "
    "adds in another order cannot be expected to come closer. Not on this machine: {}."
)


def measure(name, engines):
    """{engine: {"largest", "agrees"}} for one network."""
    from ppcls_lite.data.image_lists import list_images
    from ppcls_lite.infer.compare.scores import compare_classifiers

    paths, _ = list_images(REPO / "lite_data/val")
    inference = load_config(REPO / "deploy/configs/inference_cls.yaml", schema=DEPLOY)
    with tempfile.TemporaryDirectory() as folder:
        config = export_filled(name, f"{folder}/model", f"{folder}/filled")
        images = paths[:: len(paths) // IMAGES][:IMAGES]
        compared = compare_classifiers(config, f"{folder}/model", inference, images, batch_size=2, engines=engines)
        figures = {one.engine: {"largest": _digits(one.largest), "agrees": one.agrees} for one in compared}
        return {**figures, LAST_BIT: {"largest": _digits(last_bit(config, images)), "agrees": True}}


def last_bit(config, paths):
    """How far the trained network's own probabilities move with the last bit of every pixel."""
    import numpy as np

    from ppcls_lite.data.transforms import build_transforms
    from ppcls_lite.infer.engines.training import TrainingEngine
    from ppcls_lite.infer.images import read_image, stack_images

    transforms, engine = build_transforms(config["Infer"]["transforms"], "Infer.transforms"), TrainingEngine(config)
    images = stack_images([read_image(path, transforms) for path in paths])
    return np.abs(engine.run(images) - engine.run(np.nextafter(images, np.float32(np.inf)))).max()


def _digits(number):
    return float(f"{number:.3g}")


def measure_all(names):
    """The figures of these networks, as `--measure` keeps them."""
    choose_export_format()
    with quick_import():
        import paddle

    from ppcls_lite.infer.compare.engines import choose_engines

    engines, reasons = choose_engines("all")
    networks = {}
    for name in names:
        networks[name] = measure(name, engines)
        print(name, networks[name], file=sys.stderr)
    return {"paddle": f"Paddle {paddle.__version__}", "missing": sorted(reasons), "networks": networks}


def kept(path=MEASURED):
    """The figures that an earlier --measure kept; UserError when there are none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run --measure") from error


def as_markdown(measured, names):
    engines = list(next(iter(measured["networks"].values())))
    lines = [["network", *engines], ["---", *["---:"] * len(engines)]]
    for name in names:
        row = measured["networks"][name]
        lines.append([name, *(_cell(row[engine]) for engine in engines)])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return table + "\n" + _HOW.format(IMAGES, measured["paddle"], ", ".join(measured["missing"]) or "none") + "\n"


def _cell(figure):
    text = f"{figure['largest']:.3g}"
    return text if figure["agrees"] else f"**{text}**, disagrees"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; default: those of the documents")
    parser.add_argument("--measure", action="store_true", help=f"measure again and keep it in {MEASURED.name}")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    for name in args.names:
        if name not in CONFIGS:
            raise UserError(f"{name}: no such config under ppcls_lite/configs/ImageNet{nearest(name, CONFIGS)}")
    setup_logging(quiet=True)
    if args.measure:
        measured = measure_all(args.names or NETWORKS)
        if MEASURED.is_file():
            merged = {**kept()["networks"], **measured["networks"]}
            measured["networks"] = {name: merged[name] for name in (*NETWORKS, *merged) if name in merged}
        with atomic_write(MEASURED) as stream:
            stream.write(json.dumps(measured, indent=2) + "\n")
    measured = kept()
    names = args.names or [name for name in NETWORKS if name in measured["networks"]]
    missing = [name for name in names if name not in measured["networks"]]
    if missing:
        raise UserError(f"{MEASURED}: has no {', '.join(missing)}; run --measure {' '.join(missing)}")
    block = as_markdown(measured, names)
    show_block(args.update, BEGIN, END, block)


if __name__ == "__main__":
    run_main(main)
