"""Detection data: COCO files, transforms that move boxes with the image, and CenterNet's targets."""

from ppcls_lite.data.detection import targets  # noqa: F401 (it registers)
from ppcls_lite.data.detection.targets import Targets
from ppcls_lite.data.detection.transforms import DET_TRANSFORMS, build_det_transforms, new_sample

__all__ = ["DET_TRANSFORMS", "Targets", "build_det_transforms", "new_sample"]
