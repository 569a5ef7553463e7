"""Print the embeddings of faces with InsightFace's options of arcface_paddle/tools/inference.py.

    python tools/insightface/inference.py --export_type=paddle --model_dir=output/faces/inference \\
        --image_path=faces/images --use_gpu=False --enable_mkldnn=True --cpu_threads=2
    python tools/insightface/inference.py --export_type=onnx --onnx_file=output/faces/inference/inference.onnx \\
        --image_path=faces/images/0.jpg

The model is that of --model_dir, or of --model_file and --params_file. --image_path is an image, a folder or a list.
Prints one line per image, `path<TAB>[[number, …]]`, and the shape; with --benchmark=True the times as AutoLog does. The
embeddings have length 1 (see export.py). A model without inference.yml gets InsightFace's preprocessing. --use_gpu and
--use_tensorrt are for a GPU; --precision other than fp32 is for TensorRT.
Exit code: 0 all predicted, 1 an image, the model or an option cannot be used, 77 something that is required (a GPU, an
engine) would not be in effect, 2 wrong options, 130 interrupted.
"""

# test_tipc: formats=any skips=77

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.log import setup_logging
from tools.insightface.options import Parser, truth
from tools.insightface.translate import TRANSFORMS, refuse


def parse(arguments):
    parser = Parser(__doc__)
    parser.add_argument("--export_type", required=True, help="paddle or onnx")
    parser.add_argument("--model_dir", help="folder of an exported model")
    parser.add_argument("--model_file", help="its structure, instead of --model_dir")
    parser.add_argument("--params_file", help="its weights")
    parser.add_argument("--onnx_file", help="with --export_type=onnx")
    parser.add_argument("--image_path", required=True, help="image, folder or list")
    parser.add_argument("--benchmark", type=truth, default=False, help="default: False")
    parser.add_argument("--use_gpu", type=truth, help="default: True, where there is a GPU")
    parser.add_argument("--ir_optim", type=truth, default=True, help="default: True")
    parser.add_argument("--use_tensorrt", type=truth, default=False, help="default: False")
    parser.add_argument("--min_subgraph_size", type=checks.argument(), default=15, help="accepted, of no effect")
    parser.add_argument("--max_batch_size", type=checks.argument(), default=1, help="of TensorRT; default: 1")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="default: fp32")
    parser.add_argument("--gpu_mem", type=checks.argument(), default=500, help="MB; default: 500")
    parser.add_argument("--enable_mkldnn", type=truth, default=False, help="default: False")
    parser.add_argument("--cpu_threads", type=checks.argument(), default=10, help="default: 10")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    refuse(options)
    if options.precision != "fp32" and not options.use_tensorrt:
        raise UserError(f"--precision={options.precision}: is for --use_tensorrt=True: use --precision=fp32")
    setup_logging(stream=sys.stderr)  # standard output is for predictions
    from ppcls_lite.infer.engines import create_engine
    from ppcls_lite.infer.model.config import NAME, build_processing
    from ppcls_lite.infer.predict import Predictor

    files = model_files(options)
    stated = {"PreProcess": {"transform_ops": TRANSFORMS}, "PostProcess": {"name": "Embedding"}}
    transforms, postprocess = build_processing(files, None if (files.folder / NAME).is_file() else stated)
    with create_engine(None, files, engine_options(options)) as engine:
        predictor = Predictor(engine, transforms, postprocess, batch_size=1)
        print_embeddings(predictor, options.image_path)
        if options.benchmark:
            from ppcls_lite.infer.summary import benchmark_summary

            print(benchmark_summary(predictor, files.folder))
    return 1 if predictor.failed else 0


def model_files(options):
    """The `ModelFiles` that the options name."""
    from ppcls_lite.infer.model.files import find_model, find_onnx, given_files

    if options.export_type == "onnx":
        if not options.onnx_file:
            raise UserError("--export_type=onnx: needs --onnx_file")
        return find_onnx(options.onnx_file)
    if options.model_file:
        return given_files(options.model_file, options.params_file)
    if not options.model_dir:
        raise UserError("--export_type=paddle: needs --model_dir, or --model_file and --params_file")
    return find_model(options.model_dir)


def engine_options(options):
    """The `EngineOptions` of InsightFace's options; NotInEffect for a GPU that is required and not there."""
    from ppcls_lite.infer.command_line import switched_on, why_no_gpu_here
    from ppcls_lite.infer.engines import EngineOptions

    use_gpu = options.export_type == "paddle"
    if use_gpu and options.use_gpu is not False:
        with quick_import():
            use_gpu = switched_on(None if options.use_gpu is None else "True", "--use_gpu", why_no_gpu_here)
    return EngineOptions(
        engine="onnxruntime" if options.export_type == "onnx" else None,
        use_gpu=use_gpu and options.use_gpu is not False,
        use_tensorrt=options.use_tensorrt,
        ir_optim=options.ir_optim,
        gpu_mem=options.gpu_mem,
        enable_mkldnn=options.enable_mkldnn,
        cpu_num_threads=options.cpu_threads,
        batch_size=options.max_batch_size,
        use_fp16=options.precision == "fp16",
        use_int8=options.precision == "int8",
    )


def print_embeddings(predictor, source):
    """Print `path<TAB>[[number, …]]` and the shape for each image."""
    for batch in predictor.predict(source):
        for path, result in batch:
            print(f"{path}\t{json.dumps([result['features']])}")
            print(f"paddle inference result:  {(1, len(result['features']))}", flush=True)


if __name__ == "__main__":
    run_main(main)
