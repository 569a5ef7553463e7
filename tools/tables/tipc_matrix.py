"""Print what the chains support and what has passed: the tables of test_tipc/README.md and of the READMEs.

    python tools/tables/tipc_matrix.py
    python tools/tables/tipc_matrix.py --update test_tipc/README.md test_tipc/docs/test_train_inference_python.md \\
        README.md README_ch.md

A cell says what a config of test_tipc/configs asks for. It is marked as passed, with a link, only when a kept run in
test_log passed as a whole and its own steps show it. --update renews every block `<!-- tipc NAME zh: begin -->` (or en)
in the files; without it, the matrix is printed in English.
Exit code: 0, or 1 when a config, a summary or a file cannot be used.
"""

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.files import REPO
from tools.tables.bilingual import Writer, find_blocks, unique, update_blocks
from tools.tables.tipc_facts import (
    CLAIMED,
    CPU,
    FAILED,
    FLEET,
    MACHINES,
    MULTIPLE,
    PROCESSES,
    PROVEN,
    SINGLE,
    figure,
    read_models,
)

KIND = "tipc"
MARKS = {PROVEN: "✓", FAILED: "✗", CLAIMED: "○"}
# how the values of options are shown
VALUES = {None: "-", "null": "default", "False": "off", "True": "on"}
PRECISIONS = {"null": "fp32", "False": "fp32", "paddle": "fp32", "True": "fp16"}
PAGES = {"detection": "docs/lightweight_backbone.md", "recognition": "docs/recognition.md"}  # of all models of a type
BACKBONES = REPO / "docs/measured/backbones.json"
# (Chinese, English) of the words of the tables
WORDS = {
    "paper": ("论文", "paper"),
    "model": ("模型", "model"),
    "type": ("模型类型", "type"),
    "classification": ("分类", "classification"),
    "detection": ("检测", "detection"),
    "recognition": ("识别", "recognition"),
    "base": ("基础训练预测", "base training and inference"),
    "more": ("更多训练方式", "more ways to train"),
    "compression": ("模型压缩", "compression"),
    "deployment": ("其他预测部署", "other deployment"),
    CPU: ("CPU", "CPU"),
    PROCESSES: ("CPU 多进程", "CPU processes"),
    MACHINES: ("多机 CPU", "several machines, CPU"),
    SINGLE: ("单机单卡", "one GPU"),
    MULTIPLE: ("单机多卡", "several GPUs"),
    FLEET: ("多机多卡", "several machines"),
    "normal": ("正常训练", "normal"),
    "amp": ("混合精度", "mixed precision"),
    "pact_train": ("PACT量化", "PACT"),
    "fpgm_train": ("FPGM裁剪", "FPGM"),
    "distill_train": ("蒸馏", "distillation"),
    "kl_quant": ("离线量化", "quantisation after training"),
    "serving": ("Paddle Serving: Python", "Paddle Serving: Python"),
    "paddle2onnx_infer": ("Paddle2ONNX", "Paddle2ONNX"),
    "cpp_infer": ("C++", "C++"),
    "lite_arm_cpu_cpp": ("Paddle Lite（x86 孪生模型）", "Paddle Lite (x86 twin)"),  # noqa: RUF001
    "serving_infer_cpp": ("Paddle Serving: C++", "Paddle Serving: C++"),
    "evidence": ("通过的模式（证据）", "modes that passed (evidence)"),  # noqa: RUF001
    "device": ("device", "device"),
    "batch": ("batch size", "batch size"),
    "trt": ("TensorRT", "TensorRT"),
    "mkldnn": ("oneDNN", "oneDNN"),
    "threads": ("CPU 线程数", "CPU threads"),
    "default": ("默认", "default"),
    "on": ("开", "on"),
    "off": ("关", "off"),
    "on/off": ("开/关", "on/off"),
    "off/on": ("开/关", "on/off"),
    "precision": ("精度", "precision"),
    "passed": ("通过", "passed"),
    "models": ("模型", "models"),
    "data": ("数据", "data"),
    "measure": ("指标", "measure"),
    "reproduced": ("复现精度", "reproduced"),
    "proof": ("证据", "evidence"),
    "lite_data": ("lite_data", "the images of lite_data"),
    "digits": ("扫描数字", "scanned digits"),
    "boxes": ("合成检测集", "composed detection set"),
    "to": ("至", "to"),
    "backbones": ("种骨干网络", "backbones"),
}


def claim_text(name, claim, write):
    """A thing with its mark, and a link to the run that shows it."""
    text = write.word(name)
    return f"{MARKS[claim.state]} {write.link(text, claim.folders[0]) if claim.folders else text}"


def names(model, write):
    """The cells of the paper and of the model."""
    series = model.series
    page = f"docs/models/{series.page}.md" if series.page else PAGES[series.type]
    address = series.paper["url"] if series.paper else series.official
    return [write.link(series.name, address), write.link(model.name, page)]


def matrix(models, write):
    """The overview: a line for each model."""
    lines = []
    for model in models:
        more = []
        for claim in model.training:
            place, kind = claim.what
            if kind in ("normal", "amp") and (place not in (CPU, SINGLE) or kind == "amp"):
                more.append(claim_text(place if kind == "normal" else kind, claim, write))
        services = [claim_text(claim.what[0].upper(), claim, write) for claim in sorted(model.serving)]
        deployment = [f"{write.word('serving')}<br>{', '.join(services)}"] if services else []
        deployment += [claim_text(claim.what[0], claim, write) for claim in model.deployed]
        cells = [
            write.word(model.series.type),
            "<br>".join(base(model, write)),
            *map("<br>".join, (unique(more), compressed(model, write))),
        ]
        lines.append([*names(model, write), *cells, "<br>".join(deployment)])
    return write.table(("paper", "model", "type", "base", "more", "compression", "deployment"), lines)


def base(model, write):
    """The marks of CPU and GPU: a training and an inference on that device, in one run that passed."""
    cells = []
    for place, device in ((CPU, "cpu"), (SINGLE, "gpu")):
        inferred = {folder for claim in model.inference if claim.what[0] == device for folder in claim.folders}
        for claim in model.training:
            if claim.what == (place, "normal"):
                if claim.state == PROVEN:
                    both = tuple(folder for folder in claim.folders if folder in inferred)
                    claim = claim._replace(state=PROVEN if both else CLAIMED, folders=both)
                cells.append(claim_text(device.upper(), claim, write))
    return cells


def training(models, write):
    """What was trained where, and the modes that passed."""
    lines = []
    for model in models:
        plain, cells = [claim for claim in model.training if claim.what[1] in ("normal", "amp")], []
        for places in ((CPU, PROCESSES, MACHINES), (SINGLE,), (MULTIPLE,), (FLEET,)):
            found = [claim for claim in plain if claim.what[0] in places]
            cells.append("<br>".join(claim_text(of_training(claim), claim, write) for claim in found))
        cells.append("<br>".join(compressed(model, write)))
        proven = {folder for claim in model.training for folder in claim.folders if claim.state == PROVEN}
        modes = {run.mode: run.folder for run in reversed(model.runs) if run.folder in proven}
        cells.append("<br>".join(write.link(mode, modes[mode]) for mode in sorted(modes)))
        lines.append([*names(model, write), *cells])
    return write.table(("paper", "model", CPU, SINGLE, MULTIPLE, FLEET, "compression", "evidence"), lines)


def compressed(model, write):
    """The marks of quantisation, pruning and distillation: each on the device where the most is shown of it."""
    best = {}
    for claim in model.training:
        kind = claim.what[1]
        if kind not in ("normal", "amp") and (kind not in best or best[kind].state == CLAIMED):
            best[kind] = claim
    return [claim_text(kind, claim, write) for kind, claim in best.items()]


def of_training(claim):
    """The word for a training: its kind, or, for normal ones of CPUs, where it ran."""
    place, kind = claim.what
    return place if kind == "normal" and place in (PROCESSES, MACHINES) else kind


def inference(models, write):
    """The combinations of inference options; models with the same ones share a line."""
    groups = {}
    for model in models:
        for device in ("cpu", "gpu"):
            claims = [claim for claim in model.inference if claim.what[0] == device]
            if claims:
                _, library, threads, precision, batch = zip(*(claim.what for claim in claims))
                options = (joined(library), joined(threads), joined(precision, PRECISIONS), joined(batch))
                proven = sum(claim.state == PROVEN for claim in claims)
                groups.setdefault((device, *options, proven, len(claims)), []).append(model.name)
    lines = []
    for (device, library, threads, precision, batch, proven, count), members in sorted(groups.items()):
        trt, mkldnn = ("-", library) if device == "cpu" else (library, "-")
        mark = f"{MARKS[PROVEN if proven == count else CLAIMED]} {proven}/{count}"
        options = [write.word(text) for text in (trt, mkldnn, threads)]
        lines.append([device.upper(), batch, *options, precision, mark, ", ".join(members)])
    return write.table(("device", "batch", "trt", "mkldnn", "threads", "precision", "passed", "models"), lines)


def joined(values, texts=None):
    """The different values of a list, as a table shows them."""
    texts = texts or VALUES
    return "/".join(unique(texts.get(value, value) for value in values))


def accuracy(models, write):
    """What trainings on whole data reached here, from their kept runs."""
    lines = []
    for model in models:
        for run in model.runs:
            if run.passed and run.mode == "whole_train_whole_infer":
                found = (figure(run, "evaluate") or "").partition(": ")
                data = write.word(data_of(run))
                lines.append([model.name, data, found[0], f"**{found[2]}**", write.link("log", run.folder)])
    kept = json.loads(BACKBONES.read_text(encoding="utf-8"))["backbones"]
    ranked = sorted(kept, key=lambda name: kept[name]["AP"])
    reached = f" {write.word('to')} ".join(f"{kept[name]['AP']:.3f} ({name})" for name in (ranked[0], ranked[-1]))
    links = write.link(f"{len(kept)} logs", "docs/lightweight_backbone.md")
    lines.append([f"CenterNet ({len(kept)} {write.word('backbones')})", write.word("boxes"), "AP", reached, links])
    return write.table(("model", "data", "measure", "reproduced", "proof"), lines)


def data_of(run):
    """The training config of a kept run, by its name: the command in the log of the evaluation has it."""
    log = REPO / run.folder / "evaluate.log"
    command = log.read_text(encoding="utf-8").partition("\n")[0] if log.is_file() else ""
    found = re.search(r"(\w+)\.yaml\b", command)
    return found[1] if found else "-"


TABLES = {"matrix": matrix, "training": training, "inference": inference, "accuracy": accuracy}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--update", type=Path, nargs="+", default=[], metavar="FILE", help="renew the blocks in each FILE"
    )
    args = parser.parse_args()
    for path in args.update:  # before the work: a wrong path need not wait for it
        find_blocks(path, KIND, TABLES)
    models = read_models()
    for path in args.update:
        update_blocks(path, KIND, TABLES, WORDS, models)
    if not args.update:
        print(matrix(models, Writer(WORDS, "en", REPO)), end="")


if __name__ == "__main__":
    run_main(main)
