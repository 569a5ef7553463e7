"""use_mkldnn, use_trt, devices and precision of the service: what they choose, and what they refuse."""

import pytest

from ppcls_lite.serving.config import load_service_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from tests.helpers.scripts import ROOT

CONF = "op.imagenet.local_service_conf"
GPU = ("device_type=-1", "devices=0")


def chosen(*settings):
    """(engine, device_type) of the delivered config with these settings."""
    found = load_service_config(ROOT / "deploy/paddleserving/config.yml", [f"{CONF}.{setting}" for setting in settings])
    local = found.config["op"]["imagenet"]["local_service_conf"]
    return local["engine"], local["device_type"]


@pytest.mark.parametrize(
    ("settings", "engine", "device"),
    [
        ((), None, 0),
        (("use_mkldnn=True", "devices="), "onednn", 0),
        (("use_mkldnn=False",), "paddle", 0),
        (("use_mkldnn=null",), None, 0),
        (("use_mkldnn=False", "engine=openvino"), "openvino", 0),
        (("use_mkldnn=True", "engine=onednn"), "onednn", 0),
        ((*GPU, "use_mkldnn=False"), None, -1),
        ((*GPU, "use_trt=True"), None, 2),
        ((*GPU, "use_trt=True", "precision=int8"), None, 2),
        (("device_type=2", "devices=0", "precision=fp16"), None, 2),
        ((*GPU, "use_trt=False"), None, -1),
        (("device_type=1", "devices=0, 1"), None, 1),
    ],
)
def test_what_they_choose(settings, engine, device):
    assert chosen(*settings) == (engine, device)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("use_mkldnn=True", "engine=openvino"), "use_mkldnn: True, and engine: openvino; set one of them"),
        (("use_mkldnn=False", "engine=onednn"), "use_mkldnn: False, and engine: onednn; set one of them"),
        ((*GPU, "use_mkldnn=True"), "use_mkldnn: True, and oneDNN computes on a CPU only"),
        (("use_trt=True",), "use_trt: True needs a GPU"),
        (("device_type=2", "devices=0", "use_trt=False"), "use_trt: False, and device_type: 2 is TensorRT"),
        (("precision=fp16",), "precision: fp16 needs TensorRT"),
        ((*GPU, "precision=int8"), "precision: int8 needs TensorRT"),
        (("precision=fp8",), "precision: expected fp32, fp16, int8, found 'fp8'"),
        (("thread_num=0",), "thread_num: expected a whole number of at least 1, found 0"),
        (("use_mkldnn=yes please",), "use_mkldnn: expected True or False, found 'yes please'"),
        (
            ("device_type=1",),
            "config.yml: op.imagenet.local_service_conf.devices: expected the number of a GPU, found ''",
        ),
        (("device_type=2", "devices=null"), "devices: expected the number of a GPU, found ''"),
        (("device_type=1", "devices=first"), "found 'first'"),
        (("devices=0,", "device_type=null"), "found '0,'"),
        (("use_mkldn=True",), "unknown key 'use_mkldn'"),
    ],
)
def test_what_they_refuse(settings, message):
    with pytest.raises(UserError, match=f"{CONF}.*".replace(".", r"\.", 2)) as error:
        chosen(*settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_device_that_is_not_used_is_said(caplog, monkeypatch):
    monkeypatch.setattr(logger, "propagate", True)  # caplog listens at the root
    chosen("device_type=0", "devices=0")
    assert f"{CONF}.devices: 0 is not used, since device_type: 0 is the CPU" in caplog.text


INSIGHTFACE = {
    "rpc_port": 18091,
    "http_port": 9998,
    "worker_num": 10,
    "build_dag_each_worker": False,
    "dag": {"is_thread_op": True, "retry": 10, "use_profile": True, "tracer": {"interval_s": 10}},
    "op": {
        "ArcFace": {
            "concurrency": 8,
            "local_service_conf": {
                "client_type": "local_predictor",
                "model_config": "./MobileFaceNet_128_serving",
                "fetch_list": ["save_infer_model/scale_0.tmp_1"],
                "devices": "0",
                "ir_optim": True,
            },
        }
    },
}


@pytest.mark.parametrize(
    ("settings", "engine", "device"),
    [
        (("devices=", "use_mkldnn=True", "thread_num=6"), "onednn", None),
        (("devices=", "use_mkldnn=False", "thread_num=1"), "paddle", None),
        (("devices=0", "use_trt=True", "precision=fp32"), None, 2),
        (("devices=0", "use_trt=False", "precision=fp32"), None, None),
    ],
)
def test_the_config_of_insightface_with_its_own_options(settings, engine, device, write_config):
    """Its keys and values; only the operators are threads, as all are here."""
    path = write_config(INSIGHTFACE, "config.yml")
    options = ["op.ArcFace.concurrency=1", *(f"op.ArcFace.local_service_conf.{setting}" for setting in settings)]
    found = load_service_config(path, options)
    operator = found.config["op"]["ArcFace"]
    local = operator["local_service_conf"]
    assert (found.names, operator["concurrency"]) == (["ArcFace"], 1)
    assert (local.get("engine"), local.get("device_type")) == (engine, device)
    assert local["model_config"] == str(path.parent / "MobileFaceNet_128_serving")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("index_dirr=gallery", r"unknown key 'index_dirr' in op\.ArcFace\.IndexProcess \(did you mean 'index_dir'\?\)"),
        ("return_k=all", r"op\.ArcFace\.IndexProcess\.return_k: expected a whole number, found 'all'"),
    ],
)
def test_wrong_settings_of_a_gallery(setting, message):
    with pytest.raises(UserError, match=message):
        load_service_config(ROOT / "deploy/paddleserving/config_rec.yml", [f"op.ArcFace.IndexProcess.{setting}"])
