"""The documents that PaddleClas wants of a new network: a page in each language, and its rows in their lists.

Only facts that the network, its config and its evidence have; a figure that nobody has measured is `-`.
"""

import re
from typing import NamedTuple

_URL = re.compile(r"https?://[^\s),]+")
_NONE = "-"


class Measured(NamedTuple):
    """A network in a table: parameters and FLOPs in millions, image size, accuracies on ImageNet or None, weights."""

    name: str
    params_m: float
    flops_m: float
    size: int
    top1: float
    top5: float
    url: str


def family_anchor(family):
    """The name that a family's section has in their list of models."""
    return re.sub(r"\W", "", family)


def chinese_page(family, networks, docstring, file, configs):
    """docs/zh_CN/models/ImageNet1k/<family>.md: `file` is the architecture, `configs` the folder of the YAML."""
    first = networks[0].name
    paper = _URL.search(docstring)
    source = f"论文：[{paper[0]}]({paper[0]})。" if paper else ""
    return f"""\
# {family} 系列
-----

## 目录

- [1. 模型介绍](#1)
    - [1.1 模型简介](#1.1)
    - [1.2 模型指标](#1.2)
- [2. 模型训练、评估和预测](#2)
- [3. 模型推理部署](#3)

<a name='1'></a>

## 1. 模型介绍

<a name='1.1'></a>

### 1.1 模型简介

{family} 是图像分类网络，共 {len(networks)} 个：{"、".join(network.name for network in networks)}。{source}组网代码为 `{file}`。

<a name='1.2'></a>

### 1.2 模型指标

{_table(networks)}
FLOPs 与 Params 由 `paddle.flops()` 计算。

<a name='2'></a>

## 2. 模型训练、评估和预测

ImageNet 数据的准备与各命令的含义见 [ResNet50 的说明](./ResNet.md#3-模型训练评估和预测)。本系列的训练配置在 `{configs}/`：

```shell
python tools/train.py -c {configs}/{first}.yaml
python tools/eval.py -c {configs}/{first}.yaml -o Global.pretrained_model=output/{first}/best_model
python tools/infer.py -c {configs}/{first}.yaml -o Global.pretrained_model=output/{first}/best_model
```

<a name='3'></a>

## 3. 模型推理部署

```shell
python tools/export_model.py -c {configs}/{first}.yaml \\
    -o Global.pretrained_model=output/{first}/best_model -o Global.save_inference_dir=deploy/models/{first}_infer
cd deploy
python python/predict_cls.py -c configs/inference_cls.yaml -o Global.inference_model_dir=models/{first}_infer
```

其余部署方式与 [ResNet50](./ResNet.md#4-模型推理部署) 相同。
"""


def english_page(family, networks, docstring, file, configs):
    """docs/en/models/<family>_en.md."""
    return f"""\
# {family} series
---
## Catalogue

* [1. Overview](#1)
* [2. Accuracy, FLOPs and Parameters](#2)
* [3. Training and evaluation](#3)

<a name='1'></a>
## 1. Overview

{" ".join(docstring.split()) or f"{family} is a family of image classifiers."} The code is in `{file}`.

<a name='2'></a>
## 2. Accuracy, FLOPs and Parameters

{_table(networks)}
<a name='3'></a>
## 3. Training and evaluation

The configs are in `{configs}`:

```shell
python tools/train.py -c {configs}/{networks[0].name}.yaml
python tools/eval.py -c {configs}/{networks[0].name}.yaml -o Global.pretrained_model=output/{networks[0].name}/best_model
```
"""


def _table(networks):
    rows = [
        f"| {network.name} | {_accuracy(network.top1)} | {_accuracy(network.top5)} | {network.size} | "
        f"{network.flops_m:.3f} | {network.params_m:.3f} |\n"
        for network in networks
    ]
    head = "| Models | Top1 | Top5 | Size | FLOPs<br>(M) | Params<br>(M) |\n|:--:|:--:|:--:|:--:|:--:|:--:|\n"
    return head + "".join(rows)


def _accuracy(value):
    return _NONE if value is None else f"{value:.4f}"


# ------------------------------------------------------------------------------------------------- lines of their lists


def add_to_list(text, family, networks):
    """docs/zh_CN/models/ImageNet1k/README.md with an entry and a section for the family; None where it has no place."""
    anchor = family_anchor(family)
    entry, place = f"    - [{family}](#{anchor})\n", "    - [其他模型](#Others)\n"
    section = '<a name="Others"></a>\n'
    if text.count(place) != 1 or text.count(section) != 1:
        return None
    text = text.replace(place, entry + place)
    return text.replace(section, list_section(family, networks) + "\n" + section)


def list_section(family, networks):
    """The section of a family in their list of models, with a table in the columns of that list."""
    rows = "".join(
        f"| {network.name} | {_accuracy(network.top1)} | {_accuracy(network.top5)} | - | - | - | "
        f"{network.flops_m / 1000:.3f} | {network.params_m:.3f} | {_link(network.url)} | - |\n"
        for network in networks
    )
    return f"""\
<a name="{family_anchor(family)}"></a>

## {family} 系列

关于 {family} 系列模型的精度指标如下表所示，更多介绍可以参考：[{family} 系列模型文档]({family}.md)。

| 模型 | Top-1 Acc | Top-5 Acc | time(ms)<br>bs=1 | time(ms)<br>bs=4 | time(ms)<br/>bs=8 | FLOPs(G) | Params(M) | \
预训练模型下载地址 | inference模型下载地址 |
|---|---|---|---|---|---|---|---|---|---|
{rows}"""


def _link(url):
    return f"[下载链接]({url})" if url else _NONE


def add_to_index(text, family):
    """docs/en/models/index.rst with the family's page; None where its list has no end."""
    entries = re.findall(r"^   \w\S*_en\.md$", text, re.MULTILINE)
    if not entries:
        return None
    before, last, after = text.rpartition(entries[-1])
    return f"{before}{last}\n   {family}_en.md{after}"
