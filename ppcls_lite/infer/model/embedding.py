"""From a recogniser's features to embeddings of length 1: their post-processing and their printed formats."""

from pathlib import Path

import numpy as np

from ppcls_lite.infer.model.postprocess import POSTPROCESS, check_outputs
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

_ROUNDING = 1e-5  # how far float32 leaves a normalised row from length 1


@POSTPROCESS.register
class Embedding:
    """The features [N, D] of images, each row of length 1 (unless `feature_normalize` is False).

    A row that the model itself has normalised keeps its bits, so that all engines which compute alike print alike.
    """

    def __init__(self, feature_normalize=True):
        self.feature_normalize = checks.boolean("PostProcess.feature_normalize", feature_normalize)

    def check_classes(self, count):
        """An embedding has no classes, so any number of them is right."""

    def __call__(self, features):
        """One dict per row: `features`, a list of D numbers; see `shortest`. UserError as `normalized` raises it."""
        return [{"features": shortest(row)} for row in self.normalized(features)]

    def normalized(self, features):
        """The rows [N, D] float32 themselves; UserError for another shape, numbers not finite, or a row of zeros."""
        if features.ndim != 2 or features.dtype != np.float32:
            found = f"{list(features.shape)} {features.dtype}"
            raise UserError(f"not a recogniser: expected features [N, D] float32, found {found}")
        check_outputs(features, "features")
        if not self.feature_normalize:
            return features
        lengths = np.sqrt(np.square(features, dtype=np.float64).sum(axis=1))
        if not lengths.all():
            zeros = int((lengths == 0).sum())
            raise UserError(f"the model's features are all zero for {zeros} of {len(lengths)} images: no direction")
        wrong = np.abs(lengths - 1) > _ROUNDING
        if not wrong.any():
            return features
        scaled = (features / lengths[:, None]).astype(np.float32)
        return np.where(wrong[:, None], scaled, features)


def shortest(numbers):
    """float32 numbers as Python's, each with the fewest digits that give the same float32 again."""
    return [float(str(number)) for number in numbers]


def format_rec_record(result, path):
    """A prediction as the training engine's script prints it (a dict), with the full path of the file."""
    return {**result, "file_name": str(path)}


def format_rec_line(result, path):
    """A prediction as `predict_rec.py` prints it, one line per image: the embedding, or the matches in a gallery."""
    shown = result["matches"] if "matches" in result else result["features"]
    return f"{Path(path).name}:\t{shown}"
