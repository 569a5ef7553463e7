"""What the configs of test_tipc claim, and which claims a passed run in test_log proves; tipc_matrix.py shows it.

A claim is one thing that a config asks for: training on a device, inference with certain options, a service. It is
proven by steps of a run that passed as a whole.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO
from tools.tables.series import Series, read_series, series_of

PROVEN, FAILED, CLAIMED = "proven", "failed", "claimed"
SERVING = "serving_infer"
# the config of each further chain, beside that of training, and the chain's mode, which its evidence is named after
DEPLOYED = {
    "paddle2onnx_infer_python.txt": "paddle2onnx_infer",
    "inference_cpp.txt": "cpp_infer",
    "lite_arm_cpu_cpp.txt": "lite_arm_cpu_cpp",
    "serving_infer_cpp.txt": "serving_infer_cpp",
}
# kinds of training, by how an entry of gpu_list is written, and by the tag of a training in its run
CPU, SINGLE, MULTIPLE, FLEET = "cpu", "single", "multiple", "fleet"
_TAG = re.compile(r"_gpus_(?P<gpus>.+)_autocast_(?P<autocast>[^_]+)_nodes_(?P<nodes>\d+)$")
_INFER = re.compile(r"infer (cpu|gpu) use(?:mkldnn|trt)_(.+?)(?:_threads_(.+))?_precision_(.+)_batchsize_(.+)")
_FULL = ("null", "False", "fp32", "paddle")
_NORMAL_TRAINERS = ("norm_train", "amp_train")


class Run(NamedTuple):
    """A kept run: its folder below the root, its mode, whether it passed, and its steps as in summary.json."""

    folder: str
    mode: str
    passed: bool
    steps: list


class Claim(NamedTuple):
    """`what` a config asks for; PROVEN by the runs in `folders`, FAILED in them, or only CLAIMED."""

    what: tuple
    state: str
    folders: tuple


class Model(NamedTuple):
    """A model of the configs. `training`: what is (place, "normal" or "amp" or the name of a compression); `inference`:
    what is (device, oneDNN or TensorRT, threads or None, precision, batch size); `serving`: what is (device,);
    `deployed`: what is (mode,) of a further chain."""

    name: str
    series: Series
    configs: tuple
    training: tuple
    inference: tuple
    serving: tuple
    deployed: tuple
    runs: tuple


def read_models(root=REPO):
    """The `Model`s of all configs, in the order of the series. Raises UserError for what cannot be read."""
    configs = {}
    for path, fields in _read_configs(root).items():
        configs.setdefault(fields["model_name"], {})[path] = fields
    all_series = read_series()
    models = [_model(root, name, series_of(name, all_series), found) for name, found in configs.items()]
    return sorted(models, key=lambda model: (model.series.number, model.name))


def read_runs(folder):
    """The `Run`s kept below test_log/<model>; UserError for a summary that is damaged, or of another model."""
    runs = []
    for path in sorted(folder.rglob("summary.json")):
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            steps = [{key: step[key] for key in ("tag", "name", "result", "figure")} for step in summary["steps"]]
            model, mode, passed = summary["model"], summary["mode"], summary["passed"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: cannot be read as the summary of a run ({error!r})") from error
        if model != folder.name:
            raise UserError(f"{path}: expected a run of {folder.name}, found one of {model}")
        # a run that is not whole leaves no evidence; one whose own steps contradict it is none
        passed = passed is True and summary.get("whole", True) is True
        passed = passed and all(step["result"] in ("passed", "skipped") for step in steps)
        runs.append(Run(path.parent.relative_to(folder.parent.parent).as_posix(), mode, passed, steps))
    return runs


def figure(run, name):
    """The figure of the first passed step of that name in a `Run`; None when there is none."""
    return next((step["figure"] for step in run.steps if step["name"] == name and step["result"] == "passed"), None)


def _read_configs(root):
    """{path relative to `root`: {field: value}}, as the chain's own reader says."""
    paths = (path for path in (root / "test_tipc/configs").glob("*/*.txt") if path.name not in DEPLOYED)
    paths = sorted(path.relative_to(root).as_posix() for path in paths)
    command = ["bash", str(REPO / "tools/tables/tipc_configs.sh"), *paths]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            done.stderr.strip().splitlines()[-1].removeprefix("error: ") if done.stderr else "no config read"
        )
    configs = {}
    for line in done.stdout.splitlines():
        path, field, value = line.split("\t", 2)
        configs.setdefault(path, {}).setdefault(field, value)
    for path, fields in configs.items():
        if "model_name" not in fields:
            raise UserError(f"{path}: expected a line model_name")
    return configs


def _model(root, name, series, configs):
    runs = read_runs(Path(root, "test_log", name))
    training, inference, serving = {}, {}, {}
    for path, fields in configs.items():
        if "trainer" in fields:
            training.update(dict.fromkeys(_trainings(fields)))
            inference.update(dict.fromkeys(_inferences(fields)))
        elif "serving_dir" in fields:
            serving.update(dict.fromkeys(_services(fields)))
        else:
            raise UserError(f"{path}: no column of the table is for a config of this kind")
    trained = [run for run in runs if run.mode not in (SERVING, *DEPLOYED.values())]
    served = [run for run in runs if run.mode == SERVING]
    deployed = [(mode,) for file, mode in DEPLOYED.items() if Path(root, "test_tipc/configs", name, file).is_file()]
    return Model(
        name,
        series,
        tuple(configs),
        tuple(_judge(what, trained, _trains) for what in training),
        tuple(_judge(what, trained, _infers) for what in inference),
        tuple(_judge(what, served, _serves) for what in serving),
        tuple(_judge(what, [run for run in runs if run.mode == what[0]], _deploys) for what in deployed),
        tuple(runs),
    )


def _judge(what, runs, shows):
    proven = tuple(run.folder for run in runs if run.passed and shows(run, what))
    if proven:
        return Claim(what, PROVEN, proven)
    failed = tuple(run.folder for run in runs if not run.passed)
    return Claim(what, FAILED, failed) if failed else Claim(what, CLAIMED, ())


# ---- what a config asks for


def _list(fields, name):
    return [entry.strip() for entry in fields.get(name, "null").split("|")]


def _trainings(fields):
    for gpus in _list(fields, "gpu_list"):
        place = _place(gpus.rpartition(";")[2], nodes=2 if ";" in gpus else 1)
        for trainer in _list(fields, "trainer"):
            if trainer not in _NORMAL_TRAINERS:
                yield place, trainer
            for autocast in _list(fields, "autocast") if trainer in _NORMAL_TRAINERS else ():
                yield place, "amp" if trainer == "amp_train" or autocast not in _FULL else "normal"
    if fields.get("kl_quant", "null") != "null":
        yield CPU, "kl_quant"


def _place(gpus, nodes):
    if nodes > 1:
        return FLEET
    return CPU if gpus.startswith("-1") else MULTIPLE if "," in gpus else SINGLE


def _inferences(fields):
    devices = dict.fromkeys("gpu" if word in ("True", "gpu") else "cpu" for word in _list(fields, "use_gpu"))
    for device in devices:
        for precision in _list(fields, "use_fp16"):
            for batch in _list(fields, "infer_batch_size"):
                if device == "gpu":
                    for trt in _list(fields, "use_tensorrt"):
                        if precision in _FULL or trt == "True":  # lower precision is a setting of TensorRT
                            yield device, trt, None, precision, batch
                elif precision in _FULL:
                    for mkldnn in _list(fields, "enable_mkldnn"):
                        for threads in _list(fields, "cpu_threads"):
                            yield device, mkldnn, threads, precision, batch


def _services(fields):
    for key, value in fields.items():
        if key.endswith(("use_gpu", ".devices")):
            for entry in value.split("|"):
                yield ("cpu" if entry.strip().strip("\"'") in ("null", "", "False") else "gpu",)


# ---- what a passed run shows


def _passed(run, tag=None):
    return [step["name"] for step in run.steps if step["result"] == "passed" and tag in (None, step["tag"])]


def _trains(run, what):
    place, kind = what
    for tag in dict.fromkeys(step["tag"] for step in run.steps):
        found = _TAG.search(tag)
        if found and _place(found["gpus"], int(found["nodes"])) == place:
            trainer = tag[: found.start()]
            normal = "amp" if trainer == "amp_train" or found["autocast"] not in _FULL else "normal"
            names = _passed(run, tag)
            if (
                kind == (normal if trainer in _NORMAL_TRAINERS else trainer)
                and "train" in names
                and "agree" in _kinds(names)
            ):
                return True
    return False


def _kinds(names):
    return {name.split(" ")[0] for name in names}


def _infers(run, what):
    found = (_INFER.fullmatch(name) for name in _passed(run))
    return what in [match.groups() for match in found if match]


def _serves(run, what):
    return any(re.match(rf"agree {what[0]}\b|agree {what[0]}_", name) for name in _passed(run))


def _deploys(run, what):
    return {"infer", "agree"} <= _kinds(_passed(run)) or {"client", "agree"} <= _kinds(_passed(run))
