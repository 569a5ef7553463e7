"""The data of a project: its folders of training images and of images for a prediction, and how many there are."""

import tarfile

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
_TRAINING = ("lite_data", "data/lite_data", "dataset/lite_data", "data", "dataset", "datasets")
_SAMPLES = ("images", "test_images", "demo", "demo/images", "docs/images", "deploy/images", "imgs", "samples")
_ARCHIVES = ("lite_data.tar", "test_images/lite_data.tar", "test_tipc/lite_data.tar")  # which prepare.sh unpacks
_LARGEST_ARCHIVE = 200_000_000  # bytes; a larger one is not for a short training
LITE_BATCH, STEPS = 4, 150  # of a short training: a verdict on the loss needs 100, and some loaders drop a batch


def training_folder(project, default):
    """The folder of training images, or None: `default` (of the script), if it is there; that of a lite_data.tar."""
    own = training_folder_of_script(project, default)
    if own:
        return own
    if archive_of(project):
        return "./lite_data"
    return next((f"./{folder}" for folder in _TRAINING if folder in project.folders), None)


def training_folder_of_script(project, default):
    """The folder that a script takes where it is given none, if it is there; else None."""
    if isinstance(default, str) and default.strip("./") and (project.root / default).is_dir():
        return default
    return None


def archive_of(project):
    """The path of the archive from which prepare.sh makes lite_data/, or None."""
    if "lite_data" in project.folders:
        return None
    return next((path for path in _ARCHIVES if path in project.files), None)


def sample_images(project, default):
    """A folder of images, or an image, for the predictions; None where there is none."""
    if isinstance(default, str) and default.strip("./") and (project.root / default).exists():
        return default
    images = [path for path in project.files if path.lower().endswith(_IMAGES)]
    for folder in _SAMPLES:
        if any(path.rpartition("/")[0] == folder for path in images):
            return f"./{folder}"
    demo = [path for path in images if "demo" in path.lower() or "val" in path.lower()]
    return f"./{demo[0]}" if demo else None


def lite_epochs(project, folder):
    """(epochs of a short training, whether they were counted): as many as make 100 steps."""
    count = _count(project, folder)
    if not count:
        return 10, False
    return max(1, -(-STEPS // max(1, -(-count // LITE_BATCH)))), True


def _count(project, folder):
    """The training images in `folder` or in the archive of it; 0 where that is not known."""
    archive = archive_of(project)
    if folder == "./lite_data" and archive:
        return _count_in_archive(project.root / archive)
    if folder is None:
        return 0
    place = (project.root / folder).resolve()
    count, train = 0, place / "train"
    for seen, path in enumerate((train if train.is_dir() else place).rglob("*")):
        if seen > 20_000:
            break
        count += path.suffix.lower() in _IMAGES
    return count


def _count_in_archive(path):
    try:
        if path.stat().st_size > _LARGEST_ARCHIVE:
            return 0
        with tarfile.open(path) as archive:
            names = [name for name in archive.getnames() if name.lower().endswith(_IMAGES)]
    except (OSError, tarfile.TarError, EOFError):
        return 0
    train = [name for name in names if "/train/" in f"/{name}"]
    return len(train or names)
