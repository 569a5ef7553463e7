"""Write what the demo for devices reads beside the model (.nb): config.txt, the labels, and images without compression.

    python deploy/lite/write_demo.py deploy/models/MobileNetV3_small_x1_0_infer --images test_images --output demo

Everything is taken from the inference.yml of the exported model. Also writes inputs.npz, what the network is given for
each of the images: the test chain computes with it. At most 16 images are taken, at equal distances from all.
Exit code: 0 written, 1 the model or an image cannot be used, 77 the demo cannot prepare images as this model needs them
(one line says why; inputs.npz is there, if the model classifies).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main

MOST = 16
LABELS = "label_list.txt"
CANNOT_RUN_HERE = 77
_ORDER = ("DecodeImage", "ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage")  # of what the demo does


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the exported model")
    parser.add_argument("--images", nargs="+", required=True, metavar="PLACE", help="images, folders or list files")
    parser.add_argument("--nb", metavar="FILE", help="the model's name on the device; default: <network>.nb")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    from ppcls_lite.infer.model.config import build_processing, model_name

    transforms, postprocess = build_processing(args.model)
    if not hasattr(postprocess, "topk"):
        print(f"the demo classifies, and this model's predictions are {type(postprocess).__name__}")
        return CANNOT_RUN_HERE
    args.output.mkdir(parents=True, exist_ok=True)
    count = write_images(args.output, args.images, transforms)
    try:
        settings = settings_of(transforms.ops, postprocess, args.nb or f"{model_name(args.model)}.nb")
    except Unsupported as reason:
        print(reason)
        return CANNOT_RUN_HERE
    _write(args.output / LABELS, "".join(f"{label} {name}\n" for label, name in sorted(postprocess.names.items())))
    _write(args.output / "config.txt", "".join(f"{key} {value}\n" for key, value in settings.items()))
    print(f"demo: config.txt, {LABELS} ({len(postprocess.names)} names) and {count} images in {args.output}")
    return 0


class Unsupported(Exception):
    """What the demo does not have."""


def settings_of(ops, postprocess, nb):
    """{key: value} of config.txt; Unsupported for a transform that the demo does not have."""
    found = {type(op).__name__: op for op in ops}
    if list(found) != [name for name in _ORDER if name in found] or len(found) != len(ops):
        raise Unsupported(
            f"PreProcess.transform_ops: the demo has {', '.join(_ORDER)}, in this order, found {list(found)}"
        )
    for name in ("NormalizeImage", "ToCHWImage"):
        if name not in found:
            raise Unsupported(f"PreProcess.transform_ops: the demo needs {name}, found {list(found)}")
    _check(found)
    decode, normalize = found.get("DecodeImage"), found["NormalizeImage"]
    return {
        "clas_model_file": nb,
        "label_path": LABELS,
        **_sizes(found.get("ResizeImage"), found.get("CropImage")),
        "visualize": 0,
        "num_threads": 1,
        "batch_size": 1,
        "precision": "FP32",
        "runtime_device": "arm_cpu",
        "enable_benchmark": 0,
        "tipc_benchmark": 0,
        "scale": _numbers(normalize.scale),
        "mean": _numbers(normalize.mean),
        "std": _numbers(normalize.std),
        "channel_order": "BGR" if decode is not None and not decode.to_rgb else "RGB",
        "topk": postprocess.topk,
    }


def _check(found):
    """Unsupported for an option of a transform that the demo does not have."""
    decode, normalize = found.get("DecodeImage"), found["NormalizeImage"]
    if decode is not None and (decode.makes_chw or decode.backend != "cv2"):
        raise Unsupported("DecodeImage: the demo has no channel_first and no backend but cv2")
    if "ResizeImage" in found:
        resizer = found["ResizeImage"].resizer
        if (resizer.backend, resizer.interpolation) != ("cv2", "bilinear"):
            own = f"{resizer.backend}, {resizer.interpolation}"
            raise Unsupported(f"ResizeImage: the demo has backend cv2, bilinear, and no other, found {own}")
    if normalize.channel_axis != 2 or normalize.dtype.__name__ != "float32" or normalize.extra_channel:
        raise Unsupported("NormalizeImage: the demo has order '', float32 and 3 channels only")


def _sizes(resize, crop):
    short = resize.resize_short if resize is not None and resize.resize_short else 0
    size = resize.size if resize is not None and not short else (0, 0)
    return {
        "resize_short_size": short,
        "crop_size": _width_height(crop.size if crop is not None else (0, 0)),
        "resize_size": _width_height(size),
    }


def _width_height(size):
    """One number for a square, as PaddleClas's demo has it."""
    return size[0] if size[0] == size[1] else f"{size[0]},{size[1]}"


def _numbers(array):
    """The shortest digits that are these float32 numbers."""
    return ",".join(str(number) for number in array.ravel())


def write_images(folder, places, transforms):
    """Write the images as PPM, their list, and inputs.npz to `folder`; returns how many they are."""
    import cv2
    import numpy as np

    from ppcls_lite.data.image_lists import list_images
    from ppcls_lite.data.transforms.decoding import decode_bgr
    from ppcls_lite.infer.images import read_image, stack_images

    paths = [path for place in places for path in list_images(place)[0]]
    count = min(MOST, len(paths))
    paths = [Path(paths[number * len(paths) // count]) for number in range(count)]
    inputs = stack_images([read_image(path, transforms) for path in paths])
    (folder / "images").mkdir(exist_ok=True)
    for old in (folder / "images").iterdir():
        old.unlink()
    names = [f"images/{number:02d}_{path.stem}.ppm" for number, path in enumerate(paths)]
    for name, path in zip(names, paths):
        (folder / name).write_bytes(cv2.imencode(".ppm", decode_bgr(path.read_bytes()))[1].tobytes())
    _write(folder / "images.txt", "".join(f"{name}\n" for name in names))
    with open(folder / "inputs.npz", "wb") as stream:
        np.savez(stream, image=inputs)
    return count


def _write(path, text):
    from ppcls_lite.utils.files import atomic_write

    with atomic_write(path) as stream:
        stream.write(text)


if __name__ == "__main__":
    run_main(main)
