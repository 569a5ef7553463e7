"""Does an exported classifier give the trained network's probabilities, with every engine?"""

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.compare.engines import USUAL, compare_all
from ppcls_lite.infer.compare.exact import class_rows
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.agreement import Agreement
from ppcls_lite.infer.engines.spread import key_of
from ppcls_lite.infer.engines.training import TrainingEngine
from ppcls_lite.infer.images import read_image, stack_images


def compare_classifiers(
    config, model_dir, inference_config, images, batch_size=8, engines=(USUAL,), labels=None, watch=None, exact=None
):
    """Yield an `Agreement` of probabilities for `strict`, then for each of `engines`; see `compare_all`.

    `images` are paths; `labels` are the images' true classes, or None: then no accuracy is counted. `watch` gets
    probabilities [N, C], `exact` (an `ExactPredictions`) those of each engine.
    """
    comparison = ScoreComparison(images, labels)
    return compare_all(comparison, config, model_dir, inference_config, batch_size, engines, watch, exact)


class ScoreComparison:
    """How classifiers are compared: by the probabilities of the images. Another kind has the same members."""

    build_transforms = staticmethod(build_transforms)
    training_engine = TrainingEngine
    create_engine = staticmethod(create_engine)
    agreement = Agreement

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels

    def outputs(self, engine, transforms, batch):
        """What the engine makes of the images in the slice `batch`, and the keys of their inputs."""
        images = [read_image(path, transforms) for path in self.images[batch]]
        return engine.run(stack_images(images)), [key_of(image) for image in images]

    def rows(self, outputs):
        """What `outputs` returned, image by image."""
        scores, keys = outputs
        return [(scores[number : number + 1], keys[number : number + 1]) for number in range(len(keys))]

    def entries(self, outputs):
        """What `ExactPredictions` keeps of `outputs`, image by image."""
        return map(class_rows, outputs[0])

    def add(self, agreement, expected, found, batch):
        """Count one batch of outputs."""
        (reference, _), (scores, keys) = expected, found
        agreement.add(reference, scores, self.labels[batch] if self.labels else None, keys)
