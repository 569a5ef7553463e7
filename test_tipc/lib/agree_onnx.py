"""Does an ONNX file compute what the exported Paddle model that it was made of computes?

    python test_tipc/lib/agree_onnx.py inference/inference.onnx --structure inference/inference.pdmodel \\
        --engine onnxruntime --recorded output/infer_observed

The file is checked by ONNX's own checker, and has to have the model's inputs, with a batch of any size where the model
has one. All its outputs, computed by the engine, are compared with those of Paddle in strict mode (no IR passes, no
oneDNN, one thread), in batches of each of --batch_sizes: on the images of recordings of the inference (observe/), and
on seeded random images where there are no two recorded ones. The limit is 1e-5: absolute for outputs that are at most
1, such as probabilities, else a share of the largest number; boxes are paired. Where more than that is found, it is
allowed up to 5 times what Paddle's own outputs move by when every number of the images moves by its last bit, and never
more than 1e-4; the line says so. Outputs that are the same for all images do not pass.
Exit code: 0 all agree, 1 they do not, or something cannot be used (one line says what), 77 the engine is not installed.
"""

import argparse
import importlib.util
import json
import os
import warnings
from pathlib import Path

import numpy as np

from agreement.exported import Exported
from agreement.images import batches, random_images, recorded_images
from agreement.onnx_file import ENGINES, OnnxFile, Runner
from agreement.outputs import Outputs
from bundle_rows import MOST_IMAGES, Rows, key_of_arrays, write_pair
from script import UserError, atomic_write, counted, run_main

LIMIT = 1e-5
MOST = 1e-4  # for a network that the last bit of its images moves far
LAST_BITS = 5  # each layer rounds, not the images alone
SKIPPED = 77


def main():
    args = parse()
    for name in ("onnx", args.engine):
        if importlib.util.find_spec(name) is None:
            print(f"{args.engine}: not compared: the package {name} is not installed")
            return SKIPPED
    file = OnnxFile(args.file)
    os.environ.setdefault("GLOG_v", "0")
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", module="paddle")  # it advises to install a compiler cache
    import paddle  # costs a second: only when the file is a good one

    paddle.set_device("cpu")
    exported = Exported(args.structure)
    print(file.words)
    file.check_against(exported)
    images, source = find_images(exported, args.recorded)
    runner = Runner(args.engine, file.path)
    print(f"{runner.title} against Paddle {paddle.__version__} in strict mode, {source}")
    sizes = sizes_of(exported, args.batch_sizes)
    compared = {size: compare(exported, runner, images, size) for size in sizes}
    if any(one.largest > LIMIT for one in compared.values()):
        bit = last_bit(exported, images)
        print(f"the last bit of the images moves Paddle's own outputs by {bit:.2g}")
        limit = min(LAST_BITS * bit, MOST)
        if limit > LIMIT:
            compared = {size: compare(exported, runner, images, size, limit) for size in sizes}
    for size, outputs in compared.items():
        print(f"{args.engine}_batchsize_{size}: {outputs.words}: {'DISAGREES' if outputs.fault else 'agrees'}")
    if args.save:
        with atomic_write(args.save) as stream:
            figures = {str(size): {"largest": one.largest, "fault": one.fault} for size, one in compared.items()}
            json.dump({"engine": runner.title, "images": len(images), "batch_sizes": figures}, stream, indent=2)
        save_rows(args, exported, runner, images, compared)
    for size, outputs in compared.items():
        if outputs.fault:
            raise UserError(f"{file.path}: {runner.title}, batch size {size}: {outputs.fault}")
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.onnx")
    parser.add_argument("--structure", type=Path, required=True, metavar="FILE", help="the exported .pdmodel or .json")
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime", help="default: onnxruntime")
    parser.add_argument("--recorded", type=Path, nargs="+", default=[], metavar="FOLDER", help="recordings")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 8], metavar="N", help="default: 1 8")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="figures; outputs go to FILE_predictions/")
    args = parser.parse_args()
    if min(args.batch_sizes) < 1:
        parser.error(f"--batch_sizes: expected numbers of 1 or more, found {min(args.batch_sizes)}")
    if not args.structure.is_file():
        raise UserError(f"{args.structure}: no such file of an exported model")
    return args


def find_images(exported, folders):
    """(inputs of each image, where they come from in words)."""
    images = recorded_images(exported, folders)
    source = f"{counted(len(images), 'recorded image')}" if images else ""
    if len(images) < 2:
        made = random_images(exported)
        source += f"{' and ' if source else ''}{len(made)} random images"
        images += made
    return images, source


def sizes_of(exported, sizes):
    """The batch sizes to compare: the model's own where it takes no other."""
    return [exported.fixed_batch] if exported.fixed_batch else list(dict.fromkeys(sizes))


def save_rows(args, exported, runner, images, compared):
    """Write the outputs of both for the first images, in batches of the smallest size, beside the figures."""
    size = min(compared)
    paddle, other = Rows(exported.outputs), Rows(exported.outputs)
    names = [feed.name for feed in exported.feeds]
    for inputs in batches(images[:MOST_IMAGES], 1 if exported.fixed_batch else size):
        count = len(inputs[0])
        keys = [key_of_arrays([array[row] for array in inputs]) for row in range(count)]
        for rows, outputs in ((paddle, exported.run(inputs)), (other, runner.run(dict(zip(names, inputs))))):
            whole = [array if array.ndim and len(array) == count else None for array in outputs]
            for row, key in enumerate(keys):
                rows.add(key, [None if array is None else array[row] for array in whole])
    write_pair(
        args.save.with_name(f"{args.save.stem}_predictions"),
        ("strict", "Paddle Inference, no optimisation", None, paddle),
        (args.engine, f"{runner.title}, batches of {size}", compared[size].limit, other),
    )


def compare(exported, runner, images, size, limit=LIMIT):
    """The `Outputs` of all images in batches of `size`."""
    names = [feed.name for feed in exported.feeds]
    return compare_with(exported, lambda inputs: runner.run(dict(zip(names, inputs))), images, size, limit)


def last_bit(exported, images):
    """How far Paddle's own outputs move with the last bit of every number of the images."""
    compared = compare_with(exported, lambda inputs: exported.run([moved(one) for one in inputs]), images, 1, LIMIT)
    return compared.largest


def moved(array):
    """The same image with the last bit of every number moved; other inputs, and whole numbers, stay."""
    is_image = array.ndim >= 3 and array.dtype.kind == "f"
    return np.nextafter(array, np.array(np.inf, dtype=array.dtype)) if is_image else array


def compare_with(exported, run, images, size, limit):
    """The `Outputs` of `run(inputs)` against those of Paddle, in batches of `size`."""
    compared, done = Outputs(exported.outputs, limit), 0
    for inputs in batches(images, 1 if exported.fixed_batch else size):
        count = len(inputs[0])
        try:
            expected = exported.run(inputs)
        except RuntimeError as error:
            raise UserError(f"{exported.structure}: Paddle cannot run a batch of {count}: {error}") from error
        compared.add(expected, run(inputs), [done + number for number in range(count)])
        done += count
    return compared


if __name__ == "__main__":
    run_main(main)
