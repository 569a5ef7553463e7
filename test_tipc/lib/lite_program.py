"""Copy an exported model for Paddle Lite's opt, prove the copy equal, and compute what the deployed model has to
compute.

    python test_tipc/lib/lite_program.py deploy/models/MobileNetV3_small_x1_0_infer --images test_images --output
    program

Writes model.pdmodel (see lite/program.py), model.pdiparams, inputs.npz (real images, or those of --inputs) and
expected.npz (Paddle's outputs for them, one at a time, without optimisations) to the folder --output. The model itself
is only read. expected.npz has each output twice: the second one, with `~` before its name, is for inputs of which every
number was moved by its last bit; an engine that adds in another order cannot be expected to come closer than that.
Exit code: 0 written, 1 the model or an image cannot be used, or the copy does not compute the same (one line says why).
"""

import argparse
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from agreement.exported import Exported, find_structure
from agreement.limits import same_bits
from lite.program import with_xshape
from lite.samples import find_images, make_inputs, read_arrays
from script import UserError, atomic_write, counted, run_main


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the exported model")
    parser.add_argument("--images", nargs="+", default=(), metavar="PLACE", help="images, and folders of images")
    parser.add_argument("--inputs", type=Path, metavar="FILE", help="prepared inputs instead: .npz, {name: [N, ...]}")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.simplefilter("ignore")  # Paddle's, about programs that are not needed here
    structure = find_structure(args.model)
    if structure.suffix == ".json":
        raise UserError(
            f"{structure}: Paddle Lite reads .pdmodel only: export it with Paddle up to 3.1, in that format"
        )
    model = Exported(structure)
    inputs = _inputs(model, args)
    expected = _outputs(model, inputs)
    copy, added = _write_copy(structure, args.output)
    _check_copy(model, copy, inputs, expected)
    moved = _outputs(model, {name: _last_bit(array) for name, array in inputs.items()})
    _save(args.output / "inputs.npz", inputs)
    _save(args.output / "expected.npz", {**expected, **{f"~{name}": array for name, array in moved.items()}})
    _report(structure, added, inputs, expected, moved)


def _inputs(model, args):
    if args.inputs is None:
        paths = find_images(args.images)
        return make_inputs(paths, model.feeds)
    arrays = read_arrays(args.inputs)
    names = [feed.name for feed in model.feeds]
    if len(arrays) == len(names) == 1:
        return dict(zip(names, arrays.values()))
    if sorted(arrays) != sorted(names):
        raise UserError(f"{args.inputs}: expected arrays of the inputs {names}, found {sorted(arrays)}")
    return {name: arrays[name] for name in names}


def _outputs(model, inputs):
    """{name: [N, ...]}, image by image; UserError for numbers that are nan or infinite."""
    count = len(next(iter(inputs.values())))
    try:
        rows = [model.run([inputs[feed.name][row : row + 1] for feed in model.feeds]) for row in range(count)]
    except RuntimeError as error:
        raise UserError(f"{model.structure}: cannot take the images: {error}") from None
    outputs = {name: np.stack(parts) for name, parts in zip(model.outputs, zip(*rows))}
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{model.structure}: its output {name} has numbers that are nan or infinite")
    return outputs


def _write_copy(structure, folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        content, added = with_xshape(structure.read_bytes())
    except UserError as error:
        raise UserError(f"{structure}: {error}") from None
    with atomic_write(folder / "model.pdmodel", "wb") as stream:
        stream.write(content)
    shutil.copyfile(structure.with_suffix(".pdiparams"), folder / "model.pdiparams")
    return Exported(folder / "model.pdmodel"), added


def _check_copy(model, copy, inputs, expected):
    """UserError unless the copy computes the same, bit by bit."""
    for name, array in _outputs(copy, inputs).items():
        if not same_bits(array, expected[name]):
            raise UserError(f"{copy.structure}: its output {name} is not that of {model.structure}")


def _last_bit(array):
    return np.nextafter(array, np.float32(np.inf)) if array.dtype == np.float32 else array


def _save(path, arrays):
    with atomic_write(path, "wb") as stream:
        np.savez(stream, **arrays)


def _report(structure, added, inputs, expected, moved):
    count = len(next(iter(inputs.values())))
    added = f"{counted(added, 'output')} XShape added" if added else "no change needed"
    print(f"program: the copy of {structure} ({added}) computes the same for {count} images, bit by bit")
    for name, array in expected.items():
        change = float(np.abs(array.astype(np.float64) - moved[name]).max(initial=0.0))
        print(f"expected: {name} {list(array.shape)}; the last bit of the inputs moves it by {change:.3g}")


if __name__ == "__main__":
    run_main(main)
