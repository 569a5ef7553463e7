"""Print size, seconds of conversion and largest difference from Paddle of all networks in ONNX's format.

    python tools/tables/onnx_table.py MixNet_S
    python tools/tables/onnx_table.py --measure --update test_tipc/docs/test_paddle2onnx.md

Without --measure the table is made of docs/measured/onnx.json; with it, the networks named (all, by default) are
measured again and kept there after each network; all take about half an hour. Each network is exported (classifiers
with filled weights and the statistics of real images, ppcls_lite/benchmark/filled.py, since an untrained network hides
differences; detectors with the provided ones), converted with the opset of the official configs, and compared with
Paddle in strict mode on eight validation images of lite_data, or lite_data_det, in batches of 1 and 8, by ONNX Runtime
and OpenVINO.
Exit code: 0, or 1 for an unknown network or a file that cannot be used.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.benchmark.filled import export_filled
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, nearest, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write, replace_block
from ppcls_lite.utils.log import setup_logging
from tools.tables.model_table import NETWORKS
from tools.tables.series import is_own, read_series

MEASURED = REPO / "docs/measured/onnx.json"
LANGUAGES = ("zh", "en")
OPSET = 10
SIZES = (1, 8)
SETTLING_IMAGES = 16  # training images whose statistics the batch norms get
_DETECTORS = {
    f"CenterNet_{name}": name for name in ("MobileNetV3_small_x1_0", "ShuffleNetV2_x1_0", "ResNet50_vd")
}  # those with provided weights
IMAGES = 8  # spread over the validation images of lite_data, or of lite_data_det
_ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_HEADINGS = {
    "zh": ("网络", "ONNX, MB", "算子", "opset", "转换, s", "最后一位"),
    "en": ("network", "ONNX, MB", "operators", "opset", "conversion, s", "last bit"),
}
_MEASURED_WITH = {"zh": "测量环境", "en": "Measured with"}


def all_networks():
    """The names of all networks but a reader's own: those of the documents, the detectors, further ones."""
    from ppcls_lite.arch import ARCH

    series = read_series()
    further = (name for name in ARCH.names() if name not in NETWORKS and not is_own(name, series))
    return [*NETWORKS, *_DETECTORS, *further]


def begin_end(language):
    return f"<!-- onnx table {language}: begin -->", f"<!-- onnx table {language}: end -->"


def measure(name, folder):
    """The row of one network, exported to `folder`."""
    from ppcls_lite.data.image_lists import list_images
    from ppcls_lite.infer.compare.onnx import OnnxComparison, compare_onnx
    from ppcls_lite.infer.engines.to_onnx import check_onnx, convert_to_onnx
    from ppcls_lite.infer.model.files import find_model

    model, onnx = Path(folder, "model"), Path(folder, "inference.onnx")
    images, _ = list_images(REPO / ("lite_data_det/val" if name in _DETECTORS else "lite_data/val"))
    images = images[:: len(images) // IMAGES][:IMAGES]
    export(name, model, Path(folder, "filled"))
    began = time.monotonic()
    onnx.write_bytes(convert_to_onnx(find_model(model), OPSET))
    seconds = time.monotonic() - began
    opset, operators, _ = check_onnx(onnx)
    compared, comparison = {}, OnnxComparison(model, images)
    for agreement in compare_onnx(comparison, onnx, images, SIZES, _ENGINES):
        compared[agreement.engine] = {"largest": _digits(agreement.largest), "agrees": agreement.agrees}
    return {
        "mb": round(onnx.stat().st_size / 1e6, 1),
        "operators": operators,
        "opset": opset,
        "seconds": round(seconds, 1),
        "images": len(images),
        "last bit": _digits(comparison.last_bit),
        "engines": compared,
    }


def export(name, folder, weights):
    """Export the network `name` to `folder`."""
    from ppcls_lite.infer.export import export as export_network

    if name in _DETECTORS:
        overrides = [
            f"Arch.Backbone.name={_DETECTORS[name]}",
            f"Global.pretrained_model={REPO / 'pretrain_models' / name}",
            f"Global.save_inference_dir={folder}",
            "Infer.PostProcess.class_id_map_file=null",  # the names belong to a data set that is not needed here
        ]
        export_network(load_config(REPO / "ppcls_lite/configs/detection/centernet_stamps.yaml", overrides))
    else:
        export_filled(name, folder, weights, training_images)


def training_images(config):
    """Some training images of lite_data, [N, 3, H, W], prepared as the config says."""
    from ppcls_lite.data.image_lists import list_images
    from ppcls_lite.data.transforms import build_transforms
    from ppcls_lite.infer.images import read_image, stack_images

    paths, _ = list_images(REPO / "lite_data/train")
    transforms = build_transforms(config["Infer"]["transforms"], "Infer.transforms")
    chosen = paths[:: len(paths) // SETTLING_IMAGES][:SETTLING_IMAGES]
    return stack_images([read_image(path, transforms) for path in chosen])


def _digits(number):
    return float(f"{number:.2g}")


def measure_all(names):
    """Measure these networks, and keep each as soon as it is there."""
    from importlib import metadata

    with quick_import():
        import paddle

    measured = kept() if MEASURED.is_file() else {"networks": {}}
    versions = {package: metadata.version(package) for package in ("paddle2onnx", *_ENGINES)}
    measured.update(paddle=paddle.__version__, **versions)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            measured["networks"][name] = measure(name, folder)
        print(name, measured["networks"][name], file=sys.stderr)
        measured["networks"] = {one: measured["networks"][one] for one in all_networks() if one in measured["networks"]}
        with atomic_write(MEASURED) as stream:
            stream.write(json.dumps(measured, indent=2) + "\n")


def kept(path=MEASURED):
    """The figures that an earlier --measure kept; UserError when there are none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run --measure") from error


def as_markdown(measured, names, language="en"):
    """The table and what it means."""
    columns = [
        (f"{engine}_batchsize_{size}", f"{title}, {size}") for engine, title in _ENGINES.items() for size in SIZES
    ]
    *first, last = _HEADINGS[language]
    lines = [[*first, *(title for _, title in columns), last], ["---", *["---:"] * (len(columns) + 5)]]
    for name in names:
        row = measured["networks"][name]
        cells = [f"{row['mb']:.1f}", str(row["operators"]), str(row["opset"]), f"{row['seconds']:.1f}"]
        cells += [_cell(row["engines"][key]) for key, _ in columns]
        lines.append([name, *cells, f"{row['last bit']:.2g}"])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    versions = [f"Paddle {measured['paddle']}", f"Paddle2ONNX {measured['paddle2onnx']}"]
    versions += [f"{title} {measured[engine].partition('-')[0]}" for engine, title in _ENGINES.items()]
    return f"{table}\n{_MEASURED_WITH[language]} {', '.join(versions)}.\n"


def _cell(figure):
    text = f"{figure['largest']:.2g}"
    return text if figure["agrees"] else f"**{text}**"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--measure", action="store_true", help=f"measure again and keep it in {MEASURED.name}")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew both tables between the markers in FILE")
    args = parser.parse_args()
    setup_logging(quiet=True)
    if args.measure:
        choose_export_format()
        known = all_networks()
        for name in args.names:
            if name not in known:
                raise UserError(f"{name}: no such network{nearest(name, known)}")
        measure_all(args.names or known)
    measured = kept()
    names = args.names or list(measured["networks"])
    missing = [name for name in names if name not in measured["networks"]]
    if missing:
        raise UserError(f"{MEASURED}: has no {', '.join(missing)}; run --measure {' '.join(missing)}")
    if args.update:
        for language in LANGUAGES:
            replace_block(args.update, *begin_end(language), as_markdown(measured, names, language))
    else:
        print(as_markdown(measured, names), end="")


if __name__ == "__main__":
    run_main(main)
