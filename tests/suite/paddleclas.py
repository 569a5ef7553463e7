"""A checkout of PaddleClas in miniature: the lists to which a pull request adds lines, in the form of the real ones."""

import subprocess
from pathlib import Path

INDEX = """\
import inspect

from .legendary_models.mobilenet_v3 import MobileNetV3_small_x1_0
from .model_zoo.mixnet import MixNet_S, MixNet_M, MixNet_L
from .model_zoo.uniformer import UniFormer_small

from .variant_models.vgg_variant import VGG19Sigmoid


def get_apis():
    return []
"""
LIST = """\
# ImageNet 预训练模型库

    - [CSPNet](#CSPNet)
    - [其他模型](#Others)
  - [3.2 轻量级模型](#CNN_lite)

<a name="CSPNet"></a>

## CSPNet 系列

<a name="Others"></a>

## 其他模型
"""
FILES = {
    "ppcls/arch/backbone/__init__.py": INDEX,
    "docs/zh_CN/models/ImageNet1k/README.md": LIST,
    "docs/en/models/index.rst": "models\n======\n\n.. toctree::\n   :maxdepth: 2\n\n   MixNet_en.md\n   PVTV2_en.md\n",
    "ppcls/configs/ImageNet/MixNet/MixNet_S.yaml": "Global:\n  epochs: 120\n  seed: 7\nArch:\n  name: MixNet_S\n",
    "tools/train.py": "",
    "tools/eval.py": "",
    "tools/export_model.py": "",
    "deploy/python/predict_cls.py": "",
}


def make_checkout(folder, more=()):
    """Make it in `folder`, with the files `more` {path: text}, committed; its path."""
    for name, text in {**FILES, **dict(more)}.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    name = ["-c", "user.name=Author", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True)
    return Path(folder)


def changes_of(checkout):
    """{path: "M" or "??"} of what git sees changed."""
    done = subprocess.run(
        ["git", "-C", str(checkout), "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True
    )
    return dict(reversed(line.split(maxsplit=1)) for line in done.stdout.splitlines())
