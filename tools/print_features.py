#!/usr/bin/env python3
"""Print the index and shape of every feature map that a network can give to `build_backbone`.

    python tools/print_features.py -m MobileNetV3_large_x1_0 --size 640

One line per map, as in PaddleDetection: `idx: 2 shape [1, 16, 320, 320]`. Exit codes: 0, or 1 for a bad argument
or a network without feature maps.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import run_main


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True, help="network name, e.g. MobileNetV3_large_x1_0")
    parser.add_argument("--size", type=int, default=224, help="height and width of the image in pixels")
    args = parser.parse_args()
    checks.whole("--size", args.size, low=32)

    import paddle  # after the arguments are known to be good: it costs over a second

    from ppcls_lite.arch import Backbone, build_model
    from ppcls_lite.arch.backbone import trunk_of

    network = build_model(args.model)
    indices = [node.index for node in trunk_of(network) if node.index is not None]
    backbone = Backbone(network, indices)
    backbone.eval()
    with paddle.no_grad():
        maps = backbone(paddle.zeros([1, 3, args.size, args.size]))
    for index, feature in zip(indices, maps):
        print(f"idx: {index} shape {list(feature.shape)}")


if __name__ == "__main__":
    run_main(main)
