"""InsightFace's commands one after the other, and the verification of pairs with both engines."""

import json

import cv2
import numpy as np
import pytest
import yaml

from ppcls_lite.data.faces import write_bin
from tests.faces.helpers import encoded, write_images
from tests.helpers.scripts import ROOT, assert_one_line, run_process

TOOLS = "tools/insightface"
NETWORK = ("--is_static=False", "--backbone=MobileFaceNet_128", "--embedding_size=128")


def start(script, *options, folder, **more):
    """Run one of InsightFace's commands in `folder`."""
    return run_process(f"{TOOLS}/{script}.py", *options, cwd=folder, **more)


def succeed(script, *options, folder):
    done = start(script, *options, folder=folder)
    assert done.status == 0, done.err
    return done


TRAIN = (
    "train",
    f"--config_file={ROOT}/{TOOLS}/configs/ms1mv2_mobileface.py",
    *NETWORK,
    "--fp16=False",
    "--dataset=faces",
    "--data_dir=faces/",
    "--label_file=faces/label.txt",
    "--num_classes=2",
    "--log_interval_step=1",
    "--train_num=1",
    "--batch_size=2",
    "--num_workers=0",
    "--val_targets=lfw,none,one_kind",
    "--output=out",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with four images in InsightFace's form, ten pairs, and what one epoch of a training leaves."""
    folder = tmp_path_factory.mktemp("insightface")
    names = [f"images/{number}.png" for number in range(4)]
    write_images(folder / "faces", names, size=112)
    (folder / "faces/label.txt").write_text("".join(f"{name}\t{n % 2}\n" for n, name in enumerate(names)))
    images = [encoded(seed, size=112) for seed in range(4)]
    order = [number % 4 for number in range(20)]
    write_bin(folder / "faces/lfw.bin", [images[number] for number in order], [True, False] * 5)
    write_bin(folder / "faces/one_kind.bin", [images[number] for number in order], [True] * 10)
    done = succeed(*TRAIN, folder=folder)
    return folder, done


@pytest.fixture(scope="module")
def exported(trained):
    folder, _ = trained
    options = (*NETWORK, "--export_type=paddle", "--checkpoint_dir=out/MobileFaceNet_128/0", "--output_dir=inference")
    succeed("export", *options, folder=folder)
    return folder


def test_training_leaves_both_projects_files(trained):
    folder, done = trained
    left = folder / "out/MobileFaceNet_128"
    assert len(list((left / "0").glob("*.pdparam"))) == 284
    assert (left / "latest.pdparams").exists()
    assert "[lfw][1]Accuracy-Flip: " in done.out
    assert "[none] left out: there is no faces/none.bin" in done.out
    assert "one_kind: not verified: verification: expected pairs of both kinds" in done.out  # the training is done
    assert done.out.count("loss: ") == 2
    config = yaml.safe_load((left / "config.yaml").read_text())
    assert config["Arch"]["Head"]["class_num"] == 2


def test_a_refused_training_leaves_the_one_before(trained):
    folder, _ = trained
    left = folder / "out/MobileFaceNet_128"
    before = {name: (left / name).read_bytes() for name in ("log_train.txt", "history.jsonl")}
    assert all(before.values())
    (folder / "faces/far.txt").write_text((folder / "faces/label.txt").read_text().replace("\t1", "\t7"))
    refused = start(*TRAIN, "--label_file=faces/far.txt", folder=folder)
    assert_one_line(refused, "faces/far.txt:2: label 7 is not below class_num 2")
    assert {name: (left / name).read_bytes() for name in before} == before


def test_validation_prints_insightfaces_lines(trained):
    folder, before = trained
    options = (*NETWORK, "--checkpoint_dir=out/MobileFaceNet_128/0", "--data_dir=faces", "--batch_size=3")
    done = succeed("validation", *options, "--val_targets=lfw", folder=folder)

    def figures(out):
        return [line.partition("INFO: ")[2] for line in out.splitlines() if "][1]" in line and "[lfw]" in line]

    assert [line.partition(": ")[0] for line in figures(done.out)] == ["[lfw][1]XNorm", "[lfw][1]Accuracy-Flip"]
    assert figures(done.out)[1] == figures(before.out)[1]
    none = start("validation", *options, "--val_targets=none,other", folder=folder)
    assert_one_line(none, "--val_targets: faces: expected none.bin, other.bin, found none of them")
    assert_one_line(
        start("validation", *options, "--val_targets=one_kind", folder=folder), "pairs of one identity only"
    )
    static = start("validation", "--is_static=True", folder=folder)
    assert_one_line(static, "--is_static=True: networks are trained in dynamic mode")


def test_inference_prints_insightfaces_lines(exported):
    options = ("--export_type=paddle", "--model_dir=inference", "--use_gpu=False", "--cpu_threads=1")
    done = succeed("inference", *options, "--image_path=faces/images", "--benchmark=True", folder=exported)
    lines = [line.split("\t") for line in done.out.splitlines() if "\t" in line]
    assert [path for path, _ in lines] == [f"faces/images/{number}.png" for number in range(4)]
    rows = np.array([json.loads(row)[0] for _, row in lines])
    assert rows.shape == (4, 128)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert done.out.count("paddle inference result:  (1, 128)\n") == 4
    assert "preprocess_time(ms)" in done.out
    (structure,) = [path for path in (exported / "inference").iterdir() if path.suffix in (".pdmodel", ".json")]
    given = ("--export_type=paddle", f"--model_file={structure}", "--params_file=inference/inference.pdiparams")
    again = succeed("inference", *given, *options[2:], "--image_path=faces/images/2.png", folder=exported)
    assert json.loads(again.out.splitlines()[0].split("\t")[1])[0] == rows[2].tolist()


def test_inference_refuses_what_it_cannot_do(exported):
    image = "--image_path=faces/images/0.png"
    wrong = [
        (("--export_type=paddle", image), "needs --model_dir, or --model_file and --params_file"),
        (("--export_type=onnx", image), "needs --onnx_file"),
        (("--export_type=other", image), "--export_type: expected paddle or onnx, found 'other'"),
        (("--export_type=paddle", "--model_dir=inference", "--precision=fp16", image), "is for --use_tensorrt=True"),
        (("--export_type=paddle", "--model_dir=none", image), "expected a folder with an exported model"),
    ]
    for options, expected in wrong:
        assert_one_line(start("inference", *options, folder=exported), expected)
    required = start(
        "inference", "--export_type=paddle", "--model_dir=inference", "--use_gpu=True", image, folder=exported
    )
    assert_one_line(required, "--use_gpu=True", status=77)


def verify_pairs(folder, *options):
    return run_process("tools/verify_pairs.py", "--pairs", "faces/lfw.bin", "--batch_size", "3", *options, cwd=folder)


def test_both_engines_give_the_same_figures(exported):
    weights = "Global.pretrained_model=out/MobileFaceNet_128/latest"
    config = ("-c", "out/MobileFaceNet_128/config.yaml", "-o", weights)
    model = ("--inference_model_dir", "inference")
    records = []
    for number, options in enumerate((config, model)):
        files = ("--save", f"{number}.json", "--plot", f"{number}.png")
        done = verify_pairs(exported, *options, "--flip", *files)
        assert done.status == 0, done.err
        assert "TAR@FAR=0.1: not measured, 5 negative pairs are too few" in done.out
        records.append((exported / f"{number}.json").read_bytes())
        assert cv2.imread(str(exported / f"{number}.png")).shape == (450, 700, 3)
    assert records[0] == records[1]
    record = json.loads(records[0])
    assert (record["positives"], record["negatives"], record["flip"]) == (5, 5, True)
    assert len(record["folds"]) == 10
    assert f"accuracy: {record['accuracy']:.5f}" in done.out
    plain = verify_pairs(exported, *model, "--save", "plain.json")
    assert plain.status == 0, plain.err
    assert json.loads((exported / "plain.json").read_text())["true_accepts"] == record["true_accepts"]  # none measured


def test_verification_refuses_what_it_cannot_use(exported, tmp_path):
    hostile = tmp_path / "hostile.bin"
    hostile.write_bytes(b"cos\nsystem\n(S'touch made'\ntR.")
    done = run_process("tools/verify_pairs.py", "--inference_model_dir", "inference", "--pairs", hostile, cwd=exported)
    assert_one_line(done, "refused: a pair file holds images and booleans only, and this one names 'os.system'")
    assert not (exported / "made").exists()
    assert verify_pairs(exported).status == 2
    classifier = tmp_path / "classifier.yaml"
    classifier.write_text("Global: {pretrained_model: x}\nArch: {name: MobileNetV3_small_x1_0, class_num: 5}\n")
    assert_one_line(
        verify_pairs(exported, "-c", classifier), "Arch.name: expected RecModel, found MobileNetV3_small_x1_0"
    )
    (tmp_path / "text.bin").write_bytes((exported / "faces/lfw.bin").read_bytes().replace(b"\x89PNG", b"\x89PNX"))
    done = run_process(
        "tools/verify_pairs.py", "--inference_model_dir", "inference", "--pairs", tmp_path / "text.bin", cwd=exported
    )
    assert_one_line(done, "text.bin[0]: not a decodable image")


def test_training_refuses_before_anything_is_read(tmp_path):
    done = start("train", f"--config_file={ROOT}/{TOOLS}/configs/ms1mv2_mobileface.py", folder=tmp_path)
    assert_one_line(done, "--fp16=True: weights are trained as float32: use --fp16=False")
    assert_one_line(start("train", "--config_file=configs/none.py", folder=tmp_path), "configs/none.py: cannot be read")
