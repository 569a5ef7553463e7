"""Is the accuracy through the exported model the one that tools/eval.py printed, to the last image?"""

from dataclasses import asdict, dataclass, field

import numpy as np

from ppcls_lite.infer.compare.logs import read_figures
from ppcls_lite.infer.compare.printed import LESS_PRECISE
from ppcls_lite.infer.compare.retrieved import names_in
from ppcls_lite.utils.errors import UserError

_DECIMALS = 5  # as tools/eval.py prints a figure
_FLIPPED = 1000  # where the evaluation ran on a GPU or in lower precision, one image in so many may be near a tie


@dataclass
class EvaluationAgreement:
    """One figure of an evaluation beside the same figure through the exported model."""

    evaluated: str  # name of the figure: top1, AP
    log: str
    found: str  # through the exported model, in words
    expected: str  # in the evaluation
    agrees: bool

    as_dict = asdict

    def __str__(self):
        name = "accuracy" if self.evaluated == "top1" else self.evaluated
        verdict = "agrees" if self.agrees else "DISAGREES"
        return f"{name}: {self.found} through the exported model, {self.expected} in the evaluation: {verdict}"


@dataclass
class Ranks:
    """Counts, for every k, the images whose label is among the k best scores."""

    labels: list  # of all images, in the order in which they come
    surely: list = field(default_factory=list)  # for each image, how many classes score as much as its label or more
    perhaps: list = field(default_factory=list)  # for each image, how many score more
    entropy: float = 0.0  # the sum of all images' cross entropy; infinite where a label's probability is 0

    def add(self, scores, _):
        """Count a batch of probabilities [N, C]."""
        labels = np.asarray(self.labels[len(self.surely) : len(self.surely) + len(scores)])
        if labels.max() >= scores.shape[1]:
            raise UserError(f"label {labels.max()} of the images: expected one below {scores.shape[1]}, the classes")
        own = scores[np.arange(len(scores)), labels][:, None]
        with np.errstate(divide="ignore"):
            self.entropy -= float(np.log(own.astype(np.float64)).sum())
        self.surely += ((~(scores < own)).sum(axis=1) - 1).tolist()  # so that what is not a number is not right
        self.perhaps += (~(scores <= own)).sum(axis=1).tolist()

    def right(self, k):
        """(least, largest) number of images that are right: the two differ only where two probabilities are equal,
        which the logits that tools/eval.py sorts need not be."""
        return sum(rank < k for rank in self.surely), sum(rank < k for rank in self.perhaps)


def is_cross_entropy(config):
    """Whether the loss of a training config's evaluation is the cross entropy alone, as probabilities give it too."""
    losses = (config.get("Loss") or {}).get("Eval")
    return losses in ([{"CELoss": options}] for options in (None, {}, {"weight": 1.0}))


def compare_accuracy(log, ranks, with_loss=False):
    """The `EvaluationAgreement`s of every top-k in the log of tools/eval.py with `ranks`, a `Ranks` of all images.

    `with_loss` compares the loss too, for a config that `is_cross_entropy`: two preprocessings may give the same number
    of right images, but hardly the same loss. UserError for a log without a top-k.
    """
    figures, images = read_figures(log), len(ranks.surely)
    names = [name for name in figures.texts if name.startswith("top") and name[3:].isdecimal()]
    if not names:
        raise UserError(f"{log}: expected top1 or another top-k of an evaluation, found {', '.join(figures.texts)}")
    agreements = [_of_topk(log, name, figures, ranks, images) for name in names]
    if with_loss and "loss" in figures.texts and np.isfinite(ranks.entropy):
        found, text = ranks.entropy / images, figures.texts["loss"]
        # the evaluation adds float32 numbers, which may move the last decimal
        slack = LESS_PRECISE if figures.less_precise else 2 * 10**-_DECIMALS
        agrees = images == figures.images and abs(found - float(text)) <= slack * max(1, found)
        agreements.append(EvaluationAgreement("loss", str(log), f"{found:.{_DECIMALS}f}", text, agrees))
    return agreements


def _of_topk(log, name, figures, ranks, images):
    text, (least, largest) = figures.texts[name], ranks.right(int(name[3:]))
    whole = round(float(text) * figures.images)
    expected = f"{whole}" if _share(whole, figures.images) == text else f"{text} (not a whole number of images)"
    if figures.images != images:
        expected += f" of {figures.images}"
    slack = images // _FLIPPED if figures.less_precise else 0
    shares = {_share(right, images) for right in range(least - slack, largest + slack + 1)}
    agrees = figures.images == images and text in shares
    right = whole if agrees and least <= whole <= largest else least
    return EvaluationAgreement(name, str(log), f"{right} of {images} images right", expected, agrees)


def _share(right, images):
    return f"{right / images:.{_DECIMALS}f}" if images else ""


def compare_precision(log, values, images):
    """As `compare_accuracy`, of a detector's figures `values`, such as {"AP": 0.21330}, over `images` images."""
    figures = read_figures(log)
    names = [name for name in values if name in figures.texts]
    if "AP" not in names:
        raise UserError(f"{log}: expected AP of an evaluation, found {', '.join(figures.texts)}")
    found, slack = [], LESS_PRECISE if figures.less_precise else 0
    for name in names:
        ours, theirs = f"{values[name]:.{_DECIMALS}f}", figures.texts[name]
        agrees = abs(float(ours) - float(theirs)) <= slack and images == figures.images
        counts = [f" of {count} images" if images != figures.images else "" for count in (images, figures.images)]
        found.append(EvaluationAgreement(name, str(log), ours + counts[0], theirs + counts[1], agrees))
    return found


def compare_retrieval(log, retrieval, embeddings):
    """As `compare_accuracy`, of a recogniser: a `Retrieval` and the embeddings [N, D] of its images."""
    figures = read_figures(log)
    names = names_in(figures.texts)
    if not names:
        raise UserError(f"{log}: expected recall1 or mAP of an evaluation, found {', '.join(figures.texts)}")
    counts, stated = (len(retrieval.queries.rows), len(retrieval.gallery.rows)), (figures.images, figures.gallery)
    values = retrieval.figures(embeddings, names)
    found = []
    for name in names:
        least, plain, largest = values.get(name, (np.nan,) * 3)
        slack = _slack(name, figures) + 0.5 * 10**-_DECIMALS + 1e-12
        agrees = counts == stated and least - slack <= float(figures.texts[name]) <= largest + slack
        words = [f" of {one[0]} queries in {one[1]} images" if counts != stated else "" for one in (counts, stated)]
        ours = f"{plain:.{_DECIMALS}f}{words[0]}"
        found.append(EvaluationAgreement(name, str(log), ours, figures.texts[name] + words[1], agrees))
    return found


def _slack(name, figures):
    """What a figure may differ by where an evaluation ran on a GPU or in lower precision."""
    if not figures.less_precise:
        return 0.0
    return LESS_PRECISE if name == "mAP" else max(figures.judged // _FLIPPED, 1) / max(figures.judged, 1)
