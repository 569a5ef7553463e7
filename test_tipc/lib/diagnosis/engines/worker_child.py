"""The process that runs an exported model for worker.py: requests and answers are lines of JSON, arrays are npz files.

A request has `settings` (see settings.py), `inputs` (a file with "<sample>_<input>") and `outputs` (a file to write).
The answer has `passes`, the IR passes that ran, or `error`. What engines print goes to the file `said`: Paddle names
the passes that run nowhere else. A request without `inputs` gets `listed`, Paddle's list of passes.
"""

import gc
import json
import os
import re
import sys
import warnings
from pathlib import Path

RAN = re.compile(r"Running (?:IR|PIR) pass \[(\w+)\]")
_PRECISIONS = {"float32": "Float32", "bfloat16": "Bfloat16", "float16": "Half", "int8": "Int8"}
_WORKSPACE = 1 << 30  # bytes of memory that TensorRT may use while it builds


def main():
    structure, params, said = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    file = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    warnings.filterwarnings("ignore")
    for line in sys.stdin:
        request = json.loads(line)
        os.ftruncate(file, 0)
        try:
            answer = _answer(structure, params, request, said)
        except Exception as error:  # whatever an engine raises is its answer
            answer = {"error": reason_of(error)}
        gc.collect()  # the predictor and its weights go before the next one is made
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(structure, params, request, said):
    import numpy as np

    settings = request["settings"]
    if "inputs" not in request:
        config = config_of(structure, params, settings)  # kept: Paddle frees the list with it
        return {"listed": config.pass_builder().all_passes()}
    with np.load(request["inputs"], allow_pickle=False) as stored:
        samples = [[stored[name] for name in names] for names in request["names"]]
    if settings["onnx"]:
        ran, outputs = [], _run_onnx(settings["onnx"], request["feeds"], samples)
    else:
        predictor = _predictor(structure, params, settings)
        sys.stdout.flush()
        ran = RAN.findall(Path(said).read_text(errors="replace"))
        outputs = [_run(predictor, request["feeds"], arrays) for arrays in samples]
    named = {f"{row}_{place}": array for row, arrays in enumerate(outputs) for place, array in enumerate(arrays)}
    np.savez(request["outputs"], **named)
    return {"passes": ran, "counts": [len(arrays) for arrays in outputs]}


def config_of(structure, params, settings):
    """The `Config` of a dictionary of `Settings`."""
    from paddle import inference

    config = inference.Config(structure, params)
    config.disable_gpu()
    config.switch_use_feed_fetch_ops(False)
    config.set_cpu_math_library_num_threads(settings["threads"])
    if settings["onednn"]:
        # asked first: a Config that had it switched off does not get its passes back
        config.enable_mkldnn()
        if settings["operators"] is not None:
            config.set_mkldnn_op(set(settings["operators"]))
        if settings["precision"] == "bfloat16" and not settings["openvino"]:
            config.enable_mkldnn_bfloat16()
        if settings["precision"] == "int8" and not settings["openvino"]:
            config.enable_mkldnn_int8()
    elif hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()
    config.switch_ir_optim(settings["ir"])
    if settings["memory"]:
        config.enable_memory_optim()
    precision = getattr(inference.PrecisionType, _PRECISIONS[settings["precision"]])
    if settings["openvino"]:
        config.enable_openvino_engine(precision)
    if settings["tensorrt"]:
        config.enable_use_gpu(256, 0)
        config.enable_tensorrt_engine(_WORKSPACE, 16, 3, precision, False, False)
    for name in settings["deleted"]:
        config.delete_pass(name)
    return config


def _predictor(structure, params, settings):
    from paddle import inference

    return inference.create_predictor(config_of(structure, params, settings))


def _run(predictor, feeds, arrays):
    for name, array in zip(feeds, arrays):
        handle = predictor.get_input_handle(name)
        handle.reshape(array.shape)
        handle.copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


def _run_onnx(path, feeds, samples):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from agreement.onnx_file import Runner

    runner = Runner("onnxruntime", path)
    return [runner.run(dict(zip(feeds, arrays))) for arrays in samples]


def reason_of(error):
    """The line of Paddle's error that says what is wrong: its text fills a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error: " in line or "Error) " in line or line.startswith("(")]
    return f"{(told or lines or [type(error).__name__])[-1]:.200}"


if __name__ == "__main__":
    main()
