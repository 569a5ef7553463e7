"""Time the C++ program and Python with the same engine, in turns: milliseconds per image of each part, and their ratio.

    python deploy/cpp/latency.py --program build/ppcls_infer --threads 1 2 \\
        --inference_model_dir deploy/models/MobileNetV3_small_x1_0_infer --images test_images

Both read the same images one by one (batch size 1, no threads that read ahead, one thread in OpenCV) and compute with
the same library, which the program names: OpenVINO's own package on inference.pdmodel with the same settings, or Paddle
Inference. A round is one run of each, and the medians of all rounds count. A report: nothing is judged.
Exit code: 0 measured, 1 something cannot be used, 130 interrupted.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.machine import describe_processor

PARTS = ("preprocess", "inference", "postprocess")
LEAST = 40  # images per run: of fewer, the first ones are read again
_TIMES = re.compile(r"per image: preprocess ([\d.]+), inference ([\d.]+), postprocess ([\d.]+);")


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="the built ppcls_infer")
    parser.add_argument("--inference_model_dir", required=True, help="folder of the exported model")
    parser.add_argument("--images", required=True, help="image, folder or list")
    parser.add_argument(
        "--threads", type=checks.argument(), nargs="+", default=[1, 2], help="that compute; default 1 2"
    )
    parser.add_argument("--rounds", type=checks.argument(), default=5, help="default 5")
    return parser.parse_args(argv)


class Program:
    """The C++ program; each run is a process of its own."""

    def __init__(self, path, model_dir, images):
        self.path, self.model_dir, self.images = path, model_dir, images
        self.engine = self._run("--engines").split(",")[0].strip()

    def _run(self, *words):
        try:
            done = subprocess.run([self.path, *words], capture_output=True, text=True, check=False)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be run ({error.strerror})") from None
        if done.returncode:
            raise UserError(f"{self.path}: exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    def time(self, threads, config):
        """Milliseconds per image of each part."""
        options = {
            "inference_model_dir": self.model_dir,
            "infer_imgs": self.images,
            "cpu_num_threads": threads,
            "num_workers": 0,
            "use_gpu": False,
            "engine": self.engine,
            "benchmark": True,
        }
        words = [word for key, value in options.items() for word in ("-o", f"Global.{key}={value}")]
        found = _TIMES.search(self._run("-c", config, *words))
        if not found:
            raise UserError(f"{self.path}: expected a line of times, as Global.benchmark=True prints it")
        return [float(text) for text in found.groups()]


def openvino_engine(model, options):
    """OpenVINO's package as the program uses it: the same file, the same settings, a network of one fixed shape."""
    import numpy as np
    import openvino

    from ppcls_lite.infer.engines.base import Engine

    class Direct(Engine):
        name = "openvino"

        def __init__(self):
            super().__init__(model, options)
            self.core = openvino.Core()
            self.network = self.core.read_model(str(model.structure), str(model.params))
            self.input_names = [entry.get_any_name() for entry in self.network.inputs]
            self.request, self.effects = None, []

        def compute_all(self, inputs):
            if self.request is None:
                self.network.reshape({name: list(array.shape) for name, array in inputs.items()})
                settings = {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_NUM_THREADS": self.options.cpu_num_threads,
                }
                compiled = self.core.compile_model(self.network, "CPU", settings)
                self.request, self.outputs = compiled.create_infer_request(), len(compiled.outputs)
            self.request.infer(inputs, share_inputs=True)
            return [np.array(self.request.get_output_tensor(number).data) for number in range(self.outputs)]

        def compute(self, images):
            return self.compute_all({self.input_names[0]: images})[0]

    return Direct()


def python_predictor(engine_name, model_dir, threads):
    """A Predictor with the engine of that name, which reads each image when its turn comes."""
    import cv2

    from ppcls_lite.infer.detect import DetectionPredictor
    from ppcls_lite.infer.engines import create_engine
    from ppcls_lite.infer.engines.options import EngineOptions
    from ppcls_lite.infer.model.boxes import DetectionBoxes
    from ppcls_lite.infer.model.config import build_processing
    from ppcls_lite.infer.model.files import find_model
    from ppcls_lite.infer.predict import Predictor

    cv2.setNumThreads(1)
    transforms, postprocess = build_processing(model_dir)
    options = EngineOptions(cpu_num_threads=threads)
    if engine_name == "openvino":
        engine = openvino_engine(find_model(model_dir), options)
    else:
        engine = create_engine(engine_name, model_dir, options)
    build = DetectionPredictor if isinstance(postprocess, DetectionBoxes) else Predictor
    return build(engine, transforms, postprocess, batch_size=1, workers=0)


def task_of(model_dir):
    """`det` for a detector, or `cls`."""
    from ppcls_lite.infer.model.boxes import DetectionBoxes
    from ppcls_lite.infer.model.config import build_processing

    return "det" if isinstance(build_processing(model_dir)[1], DetectionBoxes) else "cls"


def time_python(predictor, paths):
    """Milliseconds per image of each part."""
    predictor.compute([predictor.read(paths[0])])  # the first run prepares the engine, and does not count
    predictor.seconds, predictor.images = dict.fromkeys(PARTS, 0.0), 0
    for _ in predictor.predict_all(paths):
        pass
    return [1000 * predictor.seconds[part] / max(predictor.images, 1) for part in PARTS]


def report(threads, own, python):
    """Print the medians of all rounds: a line per part, and one for their sum."""
    for number, part in enumerate((*PARTS, "all")):
        ours, theirs = (
            statistics.median(sum(times) if part == "all" else times[number] for times in runs)
            for runs in (own, python)
        )
        print(f"threads {threads}, {part}: C++ {ours:.3f} ms, Python {theirs:.3f} ms, ratio {ours / theirs:.2f}")


def main():
    args = parse()
    from ppcls_lite.data.image_lists import list_images

    paths, _ = list_images(args.images)
    paths = [str(Path(path).resolve()) for path in (paths * LEAST)[: max(LEAST, len(paths))]]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.txt"
        images.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        program = Program(args.program, args.inference_model_dir, images)
        if program.engine != "openvino":
            with quick_import():
                import paddle  # noqa: F401 (its import takes a second, which is not to be measured)
        config = REPO / f"deploy/configs/inference_{task_of(args.inference_model_dir)}.yaml"
        print(f"engine {program.engine}, {len(paths)} images, {args.rounds} rounds, {describe_processor()}")
        for threads in args.threads:
            predictor, own, python = python_predictor(program.engine, args.inference_model_dir, threads), [], []
            for _ in range(args.rounds):
                own.append(program.time(threads, config))
                python.append(time_python(predictor, paths))
            report(threads, own, python)


if __name__ == "__main__":
    run_main(main)
