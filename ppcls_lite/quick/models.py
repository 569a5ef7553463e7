"""The official inference models by the names of their networks: fetched once, unpacked, and made complete."""

import fcntl
import re
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ppcls_lite.quick.downloads import cache, fetched
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.log import logger

_SERVER = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/inference"
_FILES = ("inference.pdmodel", "inference.pdiparams")  # inference.pdiparams.info, a pickle, is left where it is
_MARK = "_infer"  # ends the names of such models' archives and folders
_SCALES = ("0_35", "0_5", "0_75", "1_0", "1_25")
NAMES = (
    *(f"MobileNetV1_x{scale}" for scale in ("0_25", "0_5", "0_75", "1_0")),
    "MobileNetV1",
    "MobileNetV1_ssld",
    *(f"MobileNetV3_{size}_x{scale}" for size in ("small", "large") for scale in _SCALES),
    "MobileNetV3_small_x0_35_ssld",
    "MobileNetV3_small_x1_0_ssld",
    "MobileNetV3_large_x1_0_ssld",
    *(f"ShuffleNetV2_x{scale}" for scale in ("0_25", "0_33", "0_5", "1_0", "1_5", "2_0")),
    "ShuffleNetV2_swish",
    *(f"MixNet_{size}" for size in "SML"),
    *(f"ResNet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"ResNet{depth}_vd" for depth in (18, 34, 50, 101, 152, 200)),
    *(f"ResNet{depth}_vd_ssld" for depth in (34, 50, 101)),
    *(f"PPHGNet_{size}{kind}" for size in ("tiny", "small") for kind in ("", "_ssld")),
    "PPHGNet_base_ssld",
    *(f"PPHGNetV2_B{number}" for number in range(7)),
)
_FILE_NAMES = {"MobileNetV1_x1_0": "MobileNetV1"}  # where the archive's name is not the network's
_SSLD_ONLY = "PPHGNetV2_"


def check_name(name):
    """UserError for a network whose official model is not known here."""
    if name not in NAMES:
        raise UserError(
            f"model_name: no official model of '{name}' is known here{nearest(name, NAMES)}; "
            "a model of your own: inference_model_dir; all names: ppcls_lite --help"
        )


def network_of(name):
    """The network whose weights the model `name` holds."""
    return name[: -len("_ssld")] if name.endswith("_ssld") else name


def official_name(name):
    """The name of the official archive of the model `name`, without its ending; two names may share one."""
    return _FILE_NAMES.get(name, name) + ("_ssld" if name.startswith(_SSLD_ONLY) else "") + _MARK


def model_url(name):
    """The address of the official archive of the model `name`."""
    return f"{_SERVER}/{official_name(name)}.tar"


def model_folder(name):
    """The folder of the official model `name`, fetched and unpacked at its first use.

    It gets an `inference.yml` and the class names of ImageNet, as a model that is exported here. UserError for an
    unknown name, for a file that cannot be fetched (with the place to put it by hand), and for one that is no model.
    """
    check_name(name)
    models = cache("inference_models")
    folder = models / official_name(name)
    if folder.is_dir():
        return folder
    try:
        models.mkdir(parents=True, exist_ok=True)
        with _alone(models / f".{folder.name}.lock"):
            if not folder.is_dir():  # another process may have made it meanwhile
                instead = "give the folder of an exported model: inference_model_dir"
                archive = fetched(model_url(name), models, instead)
                _unpack(archive, network_of(name), folder)
                for file in (archive, Path(f"{archive}.sha256")):  # all that is of use is unpacked
                    file.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the model cannot be kept there ({error.strerror or error})") from error
    return folder


@contextmanager
def _alone(path):
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _unpack(archive, network, folder):
    """Make `folder` of the two files of a model in `archive`; it appears when it is complete."""
    from ppcls_lite.infer.model.config import write_model_config
    from ppcls_lite.infer.named_config import imagenet_config

    logger.info("unpacking %s to %s", archive, folder)
    with tempfile.TemporaryDirectory(prefix=".unpack.", dir=folder.parent) as scratch:
        fresh = Path(scratch, "model")
        fresh.mkdir()
        _extract(archive, fresh)
        write_model_config(fresh, imagenet_config(network), None, _FILES)
        fresh.rename(folder)


def _extract(archive, folder):
    try:
        with tarfile.open(archive, "r:") as tar:
            members = {}
            for member in tar:
                name = re.split(r"[\\/]", member.name)[-1]
                if name in _FILES and member.isfile():
                    if name in members:
                        raise UserError(f"{archive}: expected one model, found two files {name}; delete it")
                    members[name] = member
            missing = [name for name in _FILES if name not in members]
            if missing:
                raise UserError(f"{archive}: no {' and no '.join(missing)} in it: not an inference model; delete it")
            for name, member in members.items():
                with tar.extractfile(member) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except tarfile.TarError as error:
        raise UserError(f"{archive}: not an archive (tar), or cut ({error}); delete it to download it again") from None
