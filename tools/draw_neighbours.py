"""Draw queries with their nearest neighbours in the gallery: right ones in a green frame, wrong ones in a red one.

    python tools/draw_neighbours.py -c ppcls_lite/configs/recognition/arcface_lite.yaml \\
        -o Global.pretrained_model=output/arcface_lite/best_model --output neighbours.jpg

Queries and gallery are those of the config's DataLoader.Eval. A row is a query, and to its right the images of the
gallery by falling cosine, each with its name and the cosine; the last line says how many of all queries have a right
first neighbour. The queries drawn are of as many identities as there are rows, evenly spaced in the list.
--model FOLDER takes an exported model in the place of the trained weights. --names FILE has the names (`id name` in
each line); otherwise it is label_list.txt in the folder of the images, where that is there.
Exit code: 0 drawn, 1 an image, the config or the weights cannot be used (one line says why).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.config import add_config_arguments, load_config
from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.log import setup_logging


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument("--output", required=True, help="JPEG file to write")
    parser.add_argument("--model", metavar="FOLDER", help="exported model, in the place of the trained weights")
    parser.add_argument("--names", metavar="FILE", help="the names of the identities: `id name` in each line")
    parser.add_argument("--queries", type=checks.argument(), default=10, help="rows of the picture (10)")
    parser.add_argument("--neighbours", type=checks.argument(), default=6, help="in each row (6)")
    args = parser.parse_args(arguments)
    config = load_config(args.config, args.override)
    setup_logging(stream=sys.stderr)
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.drawing import write_image
        from ppcls_lite.infer.neighbours import create_predictor, neighbours_picture
        from ppcls_lite.utils.device import choose_device
    choose_device(config, args.override)
    predictor = create_predictor(config, args.model)
    write_image(neighbours_picture(config, predictor, args.names, args.queries, args.neighbours), args.output)
    print(f"{args.output}: written")


if __name__ == "__main__":
    run_main(main)
