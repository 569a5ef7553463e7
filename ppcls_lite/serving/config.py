"""`config.yml` of a service: Paddle Serving's keys and a few more, checked by name and type."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from ppcls_lite.serving.request import Limits
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import load_config, read_yaml, without_nulls
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.schema import PATH

_TOP = {
    "host": str,
    "http_port": int,
    "rpc_port": int,
    "worker_num": int,
    "build_dag_each_worker": bool,
    "grpc_gateway_port": int,
    "grace_seconds": int,
    "always_200": bool,
    "access_log": str,
    "access_log_file": PATH,
    "processes": int,
    "limits": dict,
    "dag": dict,
    "op": dict,
}
_DAG = {
    "is_thread_op": bool,
    "retry": int,
    "client_type": str,
    "use_profile": bool,
    "channel_size": int,
    "channel_recv_frist_arrive": bool,
    "tracer": dict,
    "enable_prometheus": bool,
    "prometheus_port": int,
}
_OP = {
    "concurrency": int,
    "timeout": int,
    "retry": int,
    "batch_size": int,
    "auto_batching_timeout": int,
    "inference_config": PATH,
    "IndexProcess": dict,
    "local_service_conf": dict,
}
_INDEX = {"index_dir": PATH, "return_k": int, "score_thres": float}
_LOCAL = {
    "model_config": PATH,
    "client_type": str,
    "device_type": int,
    "devices": str,
    "fetch_list": list,
    "engine": str,
    "thread_num": int,
    "ir_optim": bool,
    "mem_optim": bool,
    "precision": str,
    "use_mkldnn": bool,
    "use_trt": bool,
    "use_calib": bool,
    "mkldnn_cache_capacity": int,
    "mkldnn_op_list": list,
    "mkldnn_bf16_op_list": list,
    "min_subgraph_size": int,
    "workdir": str,
}
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_RESERVED = ("v2", "live", "ready", "metrics")  # paths of the service itself
_PATHS = {"inference_config": (), "model_config": ("local_service_conf",), "index_dir": ("IndexProcess",)}
STATED = "stated"  # added to an operator: its `local_service_conf` before Paddle Serving puts its own defaults there
_PRECISIONS = ("fp32", "fp16", "int8")


LOG_LEVELS = ("off", "errors", "all")


@dataclass(frozen=True)
class Settings:
    """A config that was checked.

    Attributes:
        config: the whole content, whose paths are complete.
        limits: `Limits`.
        grace_seconds: how long a stop may take.
        always_200: whether errors have the status 200, as from Paddle Serving's own proxy.
        access_log, access_log_file: which requests are written, one of LOG_LEVELS, and where (None: standard error).
        processes: of one service, which share its ports.
    """

    config: dict
    limits: Limits
    host: str = "127.0.0.1"
    http_port: int = 0
    rpc_port: int = 0
    grace_seconds: int = 10
    always_200: bool = False
    access_log: str = "off"
    access_log_file: str = None
    processes: int = 1

    @property
    def names(self):
        """The names of the models."""
        return list(self.config["op"])


def load_service_config(path, overrides=()):
    """The `Settings` in the YAML at `path` with "op.imagenet.concurrency=4" texts on top.

    Relative paths in the file are taken from its folder, those in overrides from the working folder.
    Raises UserError that names the file or the key, what was found and what was expected.
    """
    operators = read_yaml(path).get("op")
    if not isinstance(operators, dict) or not operators:
        found = f"{len(operators)} operators" if isinstance(operators, dict) else repr(operators)
        raise UserError(f"{path}: op: expected one operator for each model, found {found:.80}")
    schema = {"": _TOP, "dag": _DAG, "limits": {field.name: int for field in fields(Limits)}}
    schema["op"] = dict.fromkeys(operators, dict)
    for name in operators:
        _check_name(name, path)
        schema[f"op.{name}"] = _OP
        schema[f"op.{name}.IndexProcess"] = _INDEX
        schema[f"op.{name}.local_service_conf"] = _LOCAL
    written = load_config(path, (), schema)
    config = load_config(path, overrides, schema)
    _check_names(config, schema, path)
    for name in operators:
        _complete_operator(config["op"][name], written["op"][name], name, path)
    if "access_log_file" in config:
        _resolve(config, written, (), "access_log_file", Path(path).parent)
    return _settings_of(config)


def _check_name(name, path):
    """Raise UserError for a name that is no part of a path."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise UserError(f"{path}: op: expected a name of letters, digits, '_', '.', '@' and '-', found {name!r:.80}")


def _complete_operator(operator, written, name, path):
    local, where = operator.get("local_service_conf") or {}, f"op.{name}.local_service_conf"
    _check_devices(local, f"{path}: {where}")
    _apply_switches(local, where)
    for key, place in _PATHS.items():
        _resolve(operator, written, place, key, Path(path).parent)
    operator[STATED] = without_nulls(operator.get("local_service_conf"))


def _settings_of(config):
    limits = without_nulls(config.get("limits"))
    for key, value in limits.items():
        checks.whole(f"limits.{key}", value, 0 if key == "max_wait_ms" else 1)
    names = ("host", "http_port", "rpc_port", *(field.name for field in fields(Settings)[5:]))
    stated = {key: config[key] for key in names if config.get(key) is not None}
    for key in ("grace_seconds", "processes"):
        checks.whole(key, stated.get(key, 1))
    level = stated.get("access_log", "off")
    if level not in LOG_LEVELS:
        raise UserError(
            f"access_log: expected {', '.join(LOG_LEVELS)}, found {level!r:.80}{nearest(level, LOG_LEVELS)}"
        )
    return Settings(config, Limits(**limits), **stated)


def _check_devices(local, where):
    """Raise UserError where a GPU is stated without its number: Paddle Serving would end with a traceback."""
    device, devices = local.get("device_type"), local.get("devices") or ""
    is_gpu = bool(devices) if device in (None, -1) else device in (1, 2)
    if is_gpu and not all(number.strip().isdecimal() for number in devices.split(",")):
        raise UserError(f"{where}.devices: expected the number of a GPU, found {devices!r:.80}")


def _apply_switches(local, where):
    """Write what `use_trt` and `use_mkldnn` mean into `device_type` and `engine`; UserError where they contradict.

    A switch that is not set, or null, changes nothing; Paddle Serving itself would take it for False.
    """
    if local.get("thread_num") is not None:
        checks.whole(f"{where}.thread_num", local["thread_num"])
    device, tensorrt, onednn = local.get("device_type"), local.get("use_trt"), local.get("use_mkldnn")
    gpu = bool(local.get("devices")) if device in (None, -1) else device > 0
    if local.get("devices") and not gpu:
        logger.warning(f"{where}.devices: {local['devices']} is not used, since device_type: 0 is the CPU")
    if tensorrt and not gpu:
        raise UserError(f'{where}.use_trt: True needs a GPU: devices: "0", and no device_type of a CPU')
    if tensorrt is False and device == 2:
        raise UserError(f"{where}.use_trt: False, and device_type: 2 is TensorRT; set one of them")
    if tensorrt:
        local["device_type"] = 2
    _check_precision(local, where)
    engine = local.get("engine")
    if onednn and gpu:
        raise UserError(f"{where}.use_mkldnn: True, and oneDNN computes on a CPU only")
    if engine and onednn is not None and onednn != (engine == "onednn"):
        raise UserError(f"{where}.use_mkldnn: {onednn}, and engine: {engine}; set one of them")
    if onednn is not None and not gpu:
        local["engine"] = "onednn" if onednn else engine or "paddle"


def _check_precision(local, where):
    precision = local.get("precision") or "fp32"
    if precision not in _PRECISIONS:
        raise UserError(f"{where}.precision: expected {', '.join(_PRECISIONS)}, found {precision!r:.80}")
    if precision != "fp32" and local.get("device_type") != 2:
        raise UserError(f"{where}.precision: {precision} needs TensorRT (use_trt: True, or device_type: 2)")


def _check_names(config, schema, path):
    """Raise UserError for an unknown key: a misspelt one would be ignored silently."""
    for section, known in schema.items():
        node = config
        for part in section.split(".") if section else ():
            node = (node or {}).get(part)
        for key in node or {}:
            if key not in known:
                place = f"{section}.{key}" if section else key
                raise UserError(f"{path}: unknown key '{place}'{nearest(key, known)}")


def _resolve(section, written, place, key, folder):
    for part in place:
        section, written = section.get(part) or {}, written.get(part) or {}
    value = section.get(key)
    if value and value == written.get(key) and not Path(value).is_absolute():
        section[key] = str(folder / value)
