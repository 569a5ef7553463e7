"""Print the tables of the pages of docs/models: quoted and measured figures, latency, and what the chains have shown.

    python tools/tables/family_pages.py MixNet
    python tools/tables/family_pages.py --update docs/models/*.md

The networks of a page are those of docs/models.md that docs/models/series.yaml gives to it. Figures come from
docs/measured (quoted.yaml, models.json, benchmark.json, backbones.json) and from the kept runs in test_log. --update
renews every block `<!-- family NAME zh: begin -->` (or en) in the files.
Exit code: 0, or 1 for an unknown page or figures that cannot be used.
"""

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from tools.tables import model_table
from tools.tables.bilingual import Writer, find_blocks, update_blocks
from tools.tables.series import OWN, read_series, series_of
from tools.tables.tipc_facts import figure, read_runs

KIND = "family"
MEASURED = REPO / "docs/measured"
# engine: heading
ENGINES = {"onednn": "oneDNN", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
# key in quoted.yaml: decimals
QUOTED = {"top1": 2, "top5": 2, "reference_top1": 1, "size_mb": 0}
V100_BATCHES = (1, 4, 8)  # of a list latency_ms in quoted.yaml
WORDS = {
    "network": ("网络", "network"),
    "top1": ("Top-1 (%)<br>引用", "top-1 (%)<br>quoted"),
    "top5": ("Top-5 (%)<br>引用", "top-5 (%)<br>quoted"),
    "reference_top1": ("Reference top1 (%)<br>引用", "*Reference top1* (%)<br>quoted"),
    "size_mb": ("模型大小 (MB)<br>引用", "size (MB)<br>quoted"),
    "flops": ("FLOPs (M)<br>实测", "FLOPs (M)<br>measured"),
    "params": ("参数量 (M)<br>实测", "parameters (M)<br>measured"),
    "size": ("权重 (MB)<br>实测", "weights (MB)<br>measured"),
    "recipe": ("训练配置", "recipe"),
    "batch": ("batch size", "batch size"),
    "v100": ("V100 (ms)<br>引用", "V100 (ms)<br>quoted"),
    "chain": ("链条配置", "config of the chain"),
    "lite_top1": ("top-1<br>lite 链条", "top-1<br>lite chain"),
    "strict": ("最大差值<br>关闭优化", "largest difference<br>without optimisations"),
    "usual": ("最大差值<br>常用设置", "largest difference<br>usual settings"),
    "evidence": ("证据", "evidence"),
    "ap": ("CenterNet AP<br>作为骨干网络", "AP of CenterNet<br>with this backbone"),
    "quoted_from": ("引用自：{}。", "Quoted from: {}."),  # noqa: RUF001
    "measured_by": (
        "实测：{}；参数量含 BatchNorm 统计量，FLOPs 为一张 224 x 224 图像，一次乘加计一次。",  # noqa: RUF001
        "Measured with {}: parameters include BatchNorm's statistics; FLOPs are those of one 224 x 224 image, a "
        "multiply-add counted once.",
    ),
    "latency_by": (
        "实测：{cpu}，{threads} 线程，224 x 224，FP32，中位数（毫秒）；全部数据与方法见{link}。",  # noqa: RUF001
        "Measured: {cpu}, {threads} thread, 224 x 224, FP32, median in milliseconds; all rows and the method: {link}.",
    ),
    "benchmark": ("性能测试", "benchmark"),
    "none": ("没有实测数据。", "Nothing was measured."),
}


class Facts:
    """All figures of the networks of one page."""

    def __init__(self, page):
        all_series = read_series()
        self.series = {name: series_of(name, all_series) for name in model_table.ALL}
        self.series = {name: series for name, series in self.series.items() if series.page == page}
        if not self.series:
            raise UserError(f"{page}: no network has this page; expected one of {', '.join(pages(all_series))}")
        self.quoted = read_yaml(model_table.QUOTED)
        self.measured = model_table.kept_measurements()
        self.latency = _read_json("benchmark.json")
        self.backbones = _read_json("backbones.json")["backbones"]
        for name in self.series:
            if name not in self.measured["networks"]:
                raise UserError(
                    f"{name}: not measured; run: python tools/tables/model_table.py --measure --update docs/models.md"
                )

    def stated(self, name, key, decimals):
        """A quoted figure as text; "-" where no document has it."""
        value = self.quoted["networks"].get(name, {}).get(key)
        return "-" if value is None else f"{value:.{decimals}f}"


def pages(all_series):
    """The pages of the families; those of a reader's own networks are no such pages."""
    found = (series.page for series in all_series if series.page and not series.page.startswith(OWN))
    return list(dict.fromkeys(found))


def figures(facts, write):
    """Accuracy as quoted; size and FLOPs as measured; the recipe."""
    shown = {
        key: digits for key, digits in QUOTED.items() if any(facts.stated(n, key, digits) != "-" for n in facts.series)
    }
    lines = []
    for name, series in facts.series.items():
        measured = facts.measured["networks"][name]
        cells = [facts.stated(name, key, digits) for key, digits in shown.items()]
        cells += [f"{measured['flops_m']:.3f}", f"{measured['params_m']:.3f}", f"{measured['file_mb']:.1f}"]
        lines.append([name, *cells, write.link("YAML", f"ppcls_lite/configs/{series.recipes}/{name}.yaml")])
    notes = [write.word("measured_by").format(facts.measured["paddle"])]
    sources = {facts.quoted["networks"].get(name, {}).get("source"): None for name in facts.series}
    for source in filter(None, sources):
        notes.append(write.word("quoted_from").format(facts.quoted["sources"][source]["title"]))
    heading = ("network", *shown, "flops", "params", "size", "recipe")
    return write.table(heading, lines) + "".join(f"\n{note}\n" for note in notes)


def latency(facts, write):
    """Milliseconds of the engines on a CPU, beside what documents state for a V100."""
    rows = [row for row in facts.latency["rows"] if row["network"] in facts.series and row["engine"] in ENGINES]
    rows = [
        row for row in rows if row.get("median_ms") and row["precision"] == "fp32" and row["shape"] == [3, 224, 224]
    ]
    if not rows:
        return write.word("none") + "\n"
    threads = min(row["threads"] for row in rows)
    found = {(row["network"], row["batch_size"], row["engine"]): row for row in rows if row["threads"] == threads}
    lines = []
    for name in facts.series:
        stated = facts.quoted["networks"].get(name, {}).get("latency_ms", [])
        batches = sorted({batch for network, batch, _ in found if network == name})
        v100 = dict(zip(V100_BATCHES, stated))
        for batch in batches:
            cells = [found.get((name, batch, engine)) for engine in ENGINES]
            cells = [f"{row['median_ms']:.2f}" if row else "-" for row in cells]
            lines.append([name, str(batch), *cells, f"{v100[batch]:.2f}" if batch in v100 else "-"])
    conditions = facts.latency["conditions"]
    link = write.link(write.word("benchmark"), "docs/benchmark.md")
    note = write.word("latency_by").format(cpu=conditions["cpu"], threads=threads, link=link)
    heading = ("network", "batch", *(f"{title} (ms)" for title in ENGINES.values()), "v100")
    return write.table(heading, lines) + f"\n{note}\n"


def evidence(facts, write):
    """What the lite chain of each network has shown, and its AP as the backbone of a detector."""
    lines = []
    for name in facts.series:
        runs = [
            run for run in read_runs(REPO / "test_log" / name) if run.mode == "lite_train_lite_infer" and run.passed
        ]
        top1 = strict = usual = link = "-"
        if runs:
            top1 = (figure(runs[0], "evaluate") or "-").removeprefix("top1: ")
            compared = figure(runs[0], "agree") or ""
            strict = _after("strict", compared)
            usual = _after("usual_[a-z]+", compared)
            link = write.link("log", runs[0].folder)
        config = f"test_tipc/configs/{name}/train_infer_python.txt"
        chain = write.link("txt", config) if (REPO / config).is_file() else "-"
        ap = f"{facts.backbones[name]['AP']:.3f}" if name in facts.backbones else "-"
        lines.append([name, chain, top1, strict, usual, link, ap])
    heading = ["network", "chain", "lite_top1", "strict", "usual", "evidence", "ap"]
    if all(line[-1] == "-" for line in lines):  # no network of the page was a backbone
        heading, lines = heading[:-1], [line[:-1] for line in lines]
    return write.table(heading, lines)


def _after(word, text):
    found = re.search(rf"\b{word} (\S+?)(?:,|$)", text)
    return found[1] if found else "-"


def _read_json(name):
    try:
        return json.loads((MEASURED / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{MEASURED / name}: cannot be read ({error})") from error


TABLES = {"figures": figures, "latency": latency, "evidence": evidence}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("page", nargs="?", metavar="PAGE", help="print the tables of this page, in English")
    what.add_argument(
        "--update", type=Path, nargs="+", default=[], metavar="FILE", help="renew the blocks in each FILE"
    )
    args = parser.parse_args()
    for path in args.update:
        find_blocks(path, KIND, TABLES)
    for path in args.update:
        update_blocks(path, KIND, TABLES, WORDS, Facts(path.stem))
    if args.page:
        facts, write = Facts(args.page), Writer(WORDS, "en", MEASURED.parent / "models")
        print("\n".join(table(facts, write) for table in TABLES.values()), end="")


if __name__ == "__main__":
    run_main(main)
