"""Configs that set operators, as PaddleOCR and insightface write them: read, planned, and refused in one line."""

import re

import pytest

from tests.helpers.scripts import ROOT
from tests.helpers.shell import CONFIGS, assert_one_error, bash

OFFICIAL = CONFIGS / "serving_ops"
OURS = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python_options.txt"
RECOGNISER = ROOT / "test_tipc/configs/ArcFace_MobileFaceNet/serving_infer_python_options.txt"
SMALL = (CONFIGS / "serving_paddleocr.txt").read_text()
CONF = "op.imagenet.local_service_conf"


def plan(config, *options):
    """What test_serving.sh would run."""
    return bash('bash "$0/test_tipc/test_serving.sh" "$@"', config, "serving_infer", "--dry_run", *options)


def steps(run, kind="server"):
    """{name: what the plan says of it} of the steps of a kind."""
    assert run.status == 0, run.err
    return dict(re.findall(rf"^{kind} (\S+).*?: (.*)$", run.out, re.MULTILINE))


@pytest.fixture
def edited(tmp_path):
    """`edited(old, new)`: the path of the small config with a part of its text replaced."""

    def edit(old, new):
        assert old in SMALL
        path = tmp_path / "serving.txt"
        path.write_text(SMALL.replace(old, new, 1))
        return path

    return edit


# -------------------------------------------------------------------------------------------------- official files


@pytest.mark.parametrize(
    ("name", "cpu", "gpu"),
    [
        ("paddleocr_2.4_det", 4, 6),
        ("paddleocr_2.4_rec", 4, 6),
        ("paddleocr_2.6_rec", 1, 1),
        ("paddleocr_2.6_system", 1, 1),
        ("insightface_arcface", 4, 2),
    ],
)
def test_official_files_are_planned_as_they_are(name, cpu, gpu):
    servers = steps(plan(OFFICIAL / f"{name}.txt"))
    skipped = {server: words for server, words in servers.items() if words.startswith("skipped")}
    assert sum(server.startswith("cpu_") for server in servers) == cpu
    assert sum(server.startswith("gpu_") for server in servers) == gpu
    assert set(skipped) == {server for server in servers if not server.startswith("cpu_")}


def test_every_combination_gets_its_own_settings():
    run = plan(OURS)
    servers = steps(run)
    for onednn in ("True", "False"):
        for threads in ("1", "6"):
            for size in ("1", "6"):
                command = servers[f"cpu_usemkldnn_{onednn}_threads_{threads}_batchsize_{size}"]
                settings = re.findall(rf"{CONF}\.(\w+)=(\S*)", command)
                assert settings[1:] == [
                    ("devices", ""),
                    ("device_type", "0"),
                    ("use_mkldnn", onednn),
                    ("thread_num", threads),
                ]
    assert len(servers) == 8 + 12
    agreed = steps(run, "agree")
    assert "-o Global.engine=onednn -o Global.cpu_num_threads=6 " in agreed["cpu_usemkldnn_True_threads_6_batchsize_1"]
    assert "-o Global.engine=paddle -o Global.cpu_num_threads=1 " in agreed["cpu_usemkldnn_False_threads_1_batchsize_6"]
    assert servers["gpu_usetrt_False_precision_fp16_batchsize_1"] == (
        "skipped (precision fp16 is TensorRT's, and use_trt is False)"
    )
    assert servers["gpu_usetrt_True_precision_fp16_batchsize_1"] == "skipped (no GPU that this Paddle can use)"


def test_the_settings_of_insightface_mean_the_same_here():
    """In its own file, and in ours, which has the same lines and is planned with the same settings."""
    official = OFFICIAL / "insightface_arcface.txt"
    keys = [[line.partition(":")[0] for line in path.read_text().splitlines()] for path in (official, RECOGNISER)]
    assert keys[0] == keys[1]
    theirs, ours, agreed = steps(plan(official)), steps(plan(RECOGNISER)), steps(plan(RECOGNISER), "agree")
    assert len(ours) == len(theirs) == 4 + 2
    for onednn, engine in (("True", "onednn"), ("False", "paddle")):
        for threads in ("1", "6"):
            name = f"cpu_usemkldnn_{onednn}_threads_{threads}_batchsize_1"
            settings = {"devices": "", "device_type": "0", "use_mkldnn": onednn, "thread_num": threads}
            for command in (theirs[name], ours[name]):
                found = dict(re.findall(r"op\.ArcFace\.local_service_conf\.(\w+)=(\S*)", command))
                assert found.pop("model_config")
                assert found == settings
                assert " --opt op.ArcFace.concurrency=1 http_port=0 " in command
            assert f"-o Global.engine={engine} -o Global.cpu_num_threads={threads} " in agreed[name]


def test_with_a_gpu_its_combinations_are_run(tmp_path):
    """A GPU is planted: nvidia-smi that lists one."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: planted'\n")
    program.chmod(0o755)
    run = bash('PATH=$2:$PATH bash "$0/test_tipc/test_serving.sh" "$1" serving_infer --dry_run', OURS, tmp_path)
    servers = steps(run)
    command = servers["gpu_usetrt_True_precision_fp16_batchsize_6"]
    for setting in ("devices=0", "device_type=2", "use_trt=True", "precision=fp16"):
        assert f"{CONF}.{setting}" in command
    assert "device_type=1 " in servers["gpu_usetrt_False_precision_fp32_batchsize_1"]
    agreed = steps(run, "agree")["gpu_usetrt_True_precision_fp16_batchsize_6"]
    assert "-o Global.engine=tensorrt -o Global.use_gpu=True" in agreed
    assert "-o Global.use_fp16=True" in agreed


def test_a_system_of_two_models_is_planned_and_not_run():
    config = OFFICIAL / "paddleocr_2.6_system.txt"
    run = plan(config)
    assert re.findall(r"^convert (\w+): ", run.out, re.MULTILINE) == ["det", "rec"]
    assert "note: the lines op.det.… do not set rec: it runs as the service's own config says" in run.out
    command = steps(run)["cpu_usemkldnn_False_threads_6_batchsize_1"]
    for model in ("det", "rec"):
        assert (
            f"/ppocr_{model}_v2_serving"
            in re.search(rf"op\.{model}\.local_service_conf\.model_config=(\S+)", command)[1]
        )
    assert "a system of 2 models (det rec) is not compared" in run.out
    refused = bash('bash "$0/test_tipc/test_serving.sh" "$1"', config)
    assert_one_error(refused, f"{config.name}:10: a system of 2 models (det rec)", "--dry_run prints the plan")


def test_a_system_without_a_folder_of_its_second_model(tmp_path):
    text = (OFFICIAL / "paddleocr_2.6_system.txt").read_text()
    path = tmp_path / "serving.txt"
    path.write_text(text.replace("--rec_serving_client:./deploy/pdserving/ppocr_rec_v2_client/\n", ""))
    assert_one_error(plan(path), f"{path}:22: the line '--rec_serving_client:FOLDER' is missing")


def test_settings_of_an_operator_that_is_not_served():
    config = OFFICIAL / "paddleocr_2.6_rec.txt"
    refused = bash('bash "$0/test_tipc/test_serving.sh" "$1"', config)
    assert_one_error(refused, f"{config.name}:15: the lines op.det.… would have no effect: the model is that of op.rec")
    assert "note: the lines op.det.… do not set rec" in plan(config).out


def test_another_project_is_planned_and_not_run(tmp_path):
    folder = tmp_path / "deploy/pdserving"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(
        "rpc_port: 1\nop:\n    det:\n        concurrency: 8\n    rec:\n        a: 1\ndag:\n    x: 1\n"
    )
    config = OFFICIAL / "paddleocr_2.4_det.txt"
    run = plan(config, "--project", tmp_path)
    assert " -m paddle_serving_client.convert --dirname=" in run.out
    assert "--fetch_alias_names" not in run.out
    assert steps(run, "agree")["cpu_usemkldnn_True_threads_1_batchsize_1"] == (
        "skipped (this project has no tools/compare_serving.py)"
    )
    assert_one_error(
        plan(OFFICIAL / "insightface_arcface.txt", "--project", tmp_path),
        "insightface_arcface.txt:12: the service has no operator 'ArcFace'; ./deploy/pdserving/config.yml has: det rec",
    )
    refused = bash('bash "$0/test_tipc/test_serving.sh" "$1" serving_infer --project "$2"', config, tmp_path)
    assert_one_error(refused, "--project needs --dry_run")


# --------------------------------------------------------------------------------------------------- wrong configs


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            f"{CONF}.use_mkldnn",
            f"{CONF}.use_mkldn",
            ":13: unknown setting 'use_mkldn'; expected one of: devices use_mkldnn",
        ),
        ("--params_filename", "--param_filename", ":7: unknown key '--param_filename'; expected one of: model_name"),
        ("--batch_size", "--batchsize", ":19: unknown key '--batchsize'"),
        (f"{CONF}.use_trt", f"{CONF}.thread_num", f":15: '{CONF}.thread_num' is there twice; the first is line 14"),
        ("pipline:", "pipeline:x\npipline:", ":18: 'pipline' is there twice; the first is line 17"),
        (
            f"{CONF}.thread_num",
            "op.imagnet.local_service_conf.thread_num",
            ":14: the lines before set the operator 'imagenet'",
        ),
        (f"{CONF}.thread_num", "op.imagenet.thread_num", ":14: expected 'op.NAME.local_service_conf.SETTING:…', found"),
        (f"{CONF}.precision:fp32\n", "", f":18: the line '{CONF}.precision:…' is missing"),
        ("trans_model:-m paddle_serving_client.convert\n", "", ":18: the line 'trans_model:…' is missing"),
        (
            "--serving_client:./deploy/paddleserving/serving_client/\n",
            "",
            ":18: the line '--serving_client:FOLDER' is missing",
        ),
        (
            "use_mkldnn:True|False",
            "use_mkldnn:True|Fasle",
            f":13: '{CONF}.use_mkldnn': expected True or False, found 'Fasle'",
        ),
        ("use_mkldnn:True|False", "use_mkldnn:True|True", f":13: '{CONF}.use_mkldnn': 'True' is there twice"),
        ("thread_num:2", "thread_num:0", f":14: '{CONF}.thread_num': expected a number of threads, found '0'"),
        ("precision:fp32", "precision:fp8", f":16: '{CONF}.precision': expected fp32, fp16 or int8, found 'fp8'"),
        ("--batch_size:2", "--batch_size:2|x", ":19: '--batch_size': expected a number of images, found 'x'"),
        (
            'devices:"0"|null',
            "devices:tpu",
            f":12: '{CONF}.devices': expected null or the number of a GPU, found 'tpu'",
        ),
        ("model_name:small_net", "model_name:a/b", ":2: model_name becomes a folder's name"),
        ("--image_dir:../../test_images", "no colon", ":18: expected key:value, found 'no colon'"),
    ],
)
def test_a_wrong_line_is_one_error(edited, old, new, message):
    path = edited(old, new)
    assert_one_error(plan(path), f"{path}{message}")


def test_an_operator_that_the_service_does_not_have(edited, tmp_path):
    path = edited("op.imagenet", "op.imagnet")
    path.write_text(path.read_text().replace("op.imagenet.local", "op.imagnet.local"))
    assert_one_error(
        plan(path), f"{path}:12: the service has no operator 'imagnet'; ./deploy/paddleserving/config.yml has: imagenet"
    )


def test_gpu_alone_is_certified_without_one_too(edited):
    servers = steps(plan(edited('devices:"0"|null', "devices:gpu")))
    assert [name.partition("_")[0] for name in servers] == ["gpu", "cpu", "cpu", "cpp"]
