"""The official models by name, from a real server: fetched once, unpacked whole, and refused where they are none."""

import functools
import io
import shutil
import subprocess
import sys
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ppcls_lite.arch import ARCH
from ppcls_lite.arch.registry import canonical_name
from ppcls_lite.infer.model import config as model_config
from ppcls_lite.quick import models
from ppcls_lite.quick.classifier import PaddleClas
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT
from tools.tables.series import is_own, read_series

NAME = "MobileNetV3_small_x1_0"
ARCHIVE = f"{NAME}_infer.tar"
IMAGE = str(ROOT / "test_images/coffee.jpg")


class Handler(SimpleHTTPRequestHandler):
    asked = ()

    def do_GET(self):
        Handler.asked = (*Handler.asked, self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def filled_model(tmp_path_factory):
    """The folder of an exported network for ImageNet, with filled weights."""
    folder = tmp_path_factory.mktemp("filled")
    command = [sys.executable, "-m", "ppcls_lite.benchmark.filled", NAME, "--output", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return folder / f"{NAME}_infer"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """(folder that is served instead of the official one, its address); downloads go to `tmp_path/home`."""
    served = tmp_path / "served"
    served.mkdir()
    Handler.asked = ()
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setattr(models, "_SERVER", address)
    monkeypatch.setenv("PPCLS_LITE_HOME", str(tmp_path / "home"))
    yield served, address
    http.shutdown()
    http.server_close()


def archive(path, files):
    """A tar as the official ones are: {name: bytes} in it."""
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def official(server, filled_model):
    """The server with a model in the official form, whose third file is a pickle, and which macOS has packed."""
    kept = {name: (filled_model / name).read_bytes() for name in models._FILES}
    extra = [(f"{NAME}_infer/._inference.pdmodel", b"macOS"), (f"{NAME}_infer/inference.pdiparams.info", b"pickle")]
    archive(server[0] / ARCHIVE, [*extra, *((f"{NAME}_infer/{name}", content) for name, content in kept.items())])
    return server


def predict(**options):
    (batch,) = PaddleClas(**options).predict(IMAGE)
    return batch[0]


def test_names_are_those_of_the_networks_here():
    series = read_series()
    assert len(set(models.NAMES)) == len(models.NAMES)
    official = {name for name in ARCH.names() if not is_own(name, series)}
    assert {canonical_name(models.network_of(name)) for name in models.NAMES} == official


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ResNet50", "ResNet50_infer.tar"),
        ("ResNet50_vd_ssld", "ResNet50_vd_ssld_infer.tar"),
        ("MobileNetV1", "MobileNetV1_infer.tar"),
        ("MobileNetV1_x1_0", "MobileNetV1_infer.tar"),
        ("PPHGNetV2_B4", "PPHGNetV2_B4_ssld_infer.tar"),
    ],
)
def test_addresses(name, file):
    assert models.model_url(name).endswith(f".bcebos.com/dygraph/inference/{file}")


def test_model_is_fetched_once_and_predicts_as_the_exported_one(official, filled_model, tmp_path):
    expected = predict(inference_model_dir=filled_model)
    assert predict(model_name=NAME) == expected
    assert len(expected["label_names"]) == 5
    assert predict(model_name=NAME) == expected
    assert Handler.asked == (f"/{ARCHIVE}",)
    kept = tmp_path / "home/inference_models"
    found = sorted(path.name for path in (kept / f"{NAME}_infer").iterdir())
    assert found == ["inference.pdiparams", "inference.pdmodel", "inference.yml", "label_list.txt"]
    assert [path.name for path in kept.iterdir() if not path.name.endswith(".lock")] == [f"{NAME}_infer"]


def test_preprocessing_is_the_networks_own(official, tmp_path):
    shutil.copy(official[0] / ARCHIVE, official[0] / "PPHGNetV2_B0_ssld_infer.tar")
    folder = models.model_folder("PPHGNetV2_B0")
    ops = model_config.read_model_config(folder)["PreProcess"]["transform_ops"]
    assert [op["ResizeImage"]["resize_short"] for op in ops if "ResizeImage" in op] == [232]
    assert folder == tmp_path / "home/inference_models/PPHGNetV2_B0_ssld_infer"


def test_two_names_of_one_model_share_it(official):
    shutil.copy(official[0] / ARCHIVE, official[0] / "MobileNetV1_infer.tar")
    assert models.model_folder("MobileNetV1") == models.model_folder("MobileNetV1_x1_0")
    assert len(Handler.asked) == 1


def test_archive_put_there_by_hand(official, tmp_path):
    place = tmp_path / "home/inference_models" / ARCHIVE
    place.parent.mkdir(parents=True)
    shutil.copy(official[0] / ARCHIVE, place)
    assert predict(model_name=NAME)["class_ids"]
    assert Handler.asked == ()


def test_model_without_its_settings_is_imagenets(filled_model, tmp_path):
    for name in models._FILES:
        shutil.copy(filled_model / name, tmp_path)
    assert predict(inference_model_dir=tmp_path) == predict(inference_model_dir=filled_model)


def test_cut_model_is_noticed_later(official, tmp_path):
    models.model_folder(NAME)
    params = tmp_path / f"home/inference_models/{NAME}_infer/inference.pdiparams"
    params.write_bytes(params.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"inference.pdiparams: has \d+ bytes, and its export had"):
        PaddleClas(model_name=NAME)


def test_interrupted_unpacking_leaves_nothing(official, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model_config, "write_model_config", stop)
        with pytest.raises(KeyboardInterrupt):
            models.model_folder(NAME)
    assert not [path for path in (tmp_path / "home/inference_models").iterdir() if path.is_dir()]
    assert models.model_folder(NAME).is_dir()
    assert len(Handler.asked) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no inference.pdmodel and no inference.pdiparams in it: not an inference model; delete it"),
        ([("a/inference.pdmodel", b"x")], "no inference.pdiparams in it"),
        ([("a/inference.pdmodel", b"x"), ("b/inference.pdmodel", b"y")], "two files inference.pdmodel"),
        (b"<html>not found</html>" * 100, "the server sends a web page, not the file"),
        (b"not found" * 100, "not an archive"),
    ],
)
def test_archive_that_is_no_model(server, tmp_path, files, message):
    place = server[0] / ARCHIVE
    if isinstance(files, bytes):
        place.write_bytes(files)
    else:
        archive(place, files)
    with pytest.raises(UserError, match=message) as raised:
        models.model_folder(NAME)
    assert str(tmp_path / "home/inference_models" / ARCHIVE) in str(raised.value)
    assert not (tmp_path / f"home/inference_models/{NAME}_infer").exists()


def test_names_in_an_archive_lead_nowhere(server, tmp_path):
    files = [("../../../inference.pdmodel", b"x"), ("/tmp/inference.pdiparams", b"y"), ("../evil.py", b"z")]
    archive(server[0] / ARCHIVE, files)
    folder = models.model_folder(NAME)
    assert (folder / "inference.pdmodel").read_bytes() == b"x"
    assert not list(tmp_path.rglob("evil.py"))


def test_a_link_is_not_a_model(server):
    with tarfile.open(server[0] / ARCHIVE, "w") as tar:
        for name in models._FILES:
            member = tarfile.TarInfo(f"a/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    with pytest.raises(UserError, match="not an inference model"):
        models.model_folder(NAME)


def test_off_line(server, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "_SERVER", "http://127.0.0.1:9")
    place = tmp_path / "home/inference_models" / ARCHIVE
    with pytest.raises(UserError, match=rf"cannot download .*{ARCHIVE} .*put it at {place}, or .*inference_model_dir"):
        PaddleClas(model_name=NAME)


def test_model_of_other_classes_than_its_name_says(server, exported):
    files = [(f"a/{name}", (exported.model / name).read_bytes()) for name in models._FILES]
    archive(server[0] / ARCHIVE, files)
    with pytest.raises(UserError, match=r"expected names of the network's 3 classes, 0 to 2, found 1000 names"):
        predict(model_name=NAME)


# ---- images by address


def test_images_by_address(official, exported):
    served, address = official
    for folder, image in (("a", "coffee"), ("b", "rocket")):
        (served / folder).mkdir()
        shutil.copy(ROOT / f"test_images/{image}.jpg", served / folder / "same.jpg")
    clas = PaddleClas(inference_model_dir=exported.model)
    urls = [f"{address}/{folder}/same.jpg?size=large" for folder in "ab"]
    results = [next(clas.predict(url))[0] for url in urls]
    files = [next(clas.predict(str(ROOT / f"test_images/{image}.jpg")))[0] for image in ("coffee", "rocket")]
    assert [result.pop("filename") for result in results] == urls
    assert [{**result, "filename": file["filename"]} for result, file in zip(results, files)] == files
    with pytest.raises(UserError, match=r"absent.jpg .*404"):
        clas.predict(f"{address}/absent.jpg")
