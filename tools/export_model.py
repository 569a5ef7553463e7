"""Export trained weights as an inference model: structure, weights, and the preprocessing beside them.

    python tools/export_model.py -c ppcls_lite/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml \\
        -o Global.pretrained_model=output/small/best_model \\
        -o Global.save_inference_dir=deploy/models/MobileNetV3_small_x1_0_infer
    python tools/export_model.py --m=MobileNetV3_small_x1_0 --p=output/small/best_model --o=./small

The first form writes inference.pdmodel and inference.pdiparams; the second, for weights of networks as their ImageNet
config has them, model and params. --names chooses other names, --separate_params one file for each variable.
From Paddle 3.2 on, all forms write inference.json and inference.pdiparams, since there is no other format any more;
-o Global.export_format=json or pdmodel chooses where there is a choice.
--persistable writes the weights alone, which every command reads as Global.pretrained_model; with --float16 they take
half the space, rounded to 11 bits.
Exit code: 0 exported, 1 the config or the weights cannot be used, 130 interrupted.
"""

# test_tipc: formats=any int8=deploy/slim/compare_int8.py

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.config import add_config_arguments, load_config, require
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.log import setup_logging

STRUCTURES = {"inference": "inference.pdmodel", "model": "model", "__model__": "__model__"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser, required=False)
    parser.add_argument("-m", "--m", "--model", dest="model", help="a network's name, instead of -c")
    parser.add_argument("-p", "--p", "--pretrained_model", dest="weights", help="its trained weights")
    parser.add_argument("--o", "--output_path", dest="output", help="folder for the exported model")
    parser.add_argument("--class_num", type=int, help="with --m; default: as the weights have it")
    parser.add_argument("--names", choices=STRUCTURES, help="of the files; default: inference, with --m model")
    parser.add_argument("--separate_params", action="store_true", help="one file for each variable")
    parser.add_argument("--persistable", action="store_true", help="write the weights alone, to --o")
    parser.add_argument("--float16", action="store_true", help="with --persistable: store them as float16")
    args = parser.parse_args()
    if bool(args.config) == bool(args.model):
        parser.error("expected -c with a config, or --m with a network's name")
    if args.float16 and not args.persistable:
        parser.error("--float16 is for --persistable: exported models compute in the numbers that they store")
    if args.model and not (args.weights and args.output):
        parser.error("--m needs --p, its trained weights, and --o, the folder to write")
    return args


def main():
    args = parse()
    config = load_config(args.config, args.override) if args.config else None
    setup_logging()
    stated = config["Global"].get("export_format") if config else stated_with_a_name(args.override)
    chosen = choose_export_format(stated)
    with quick_import():  # of Paddle, which a wrong config need not wait for
        from ppcls_lite.infer.export import export, save_persistable
        from ppcls_lite.infer.named_config import named_config
    if config is None:
        config = named_config(args.model, args.weights, args.class_num)
    if args.weights:
        config["Global"]["pretrained_model"] = args.weights
    if args.output:
        config["Global"]["save_inference_dir"] = args.output
    if args.persistable:
        save_persistable(config, require(config, "Global.save_inference_dir"), args.separate_params, args.float16)
    else:
        # the short form's names are of the old format: without a word about names, they are left where there is none
        names = args.names or ("inference" if args.config or chosen.name == "json" else "model")
        export(config, STRUCTURES[names], args.separate_params, chosen)


def stated_with_a_name(overrides):
    """Global.export_format of `-o`, the one thing that it may change with --m; None where it is not given."""
    stated = None
    for text in overrides:
        key, _, value = text.partition("=")
        if key.strip() != "Global.export_format":
            raise UserError(f"-o {text}: is for -c, except Global.export_format; the folder to write is --o")
        stated = value.strip()
    return stated


if __name__ == "__main__":
    run_main(main)
