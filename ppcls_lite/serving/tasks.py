"""What the services of classifiers, recognisers and detectors do differently: how a network is fed, how its outputs
become results, and who says so."""

from functools import partial

from ppcls_lite.infer.gallery import Gallery, fingerprint
from ppcls_lite.infer.gallery.lookup import Lookup
from ppcls_lite.infer.gallery.settings import IndexSettings
from ppcls_lite.infer.model.boxes import DetectionBoxes
from ppcls_lite.infer.model.config import choose_processing, read_model_config
from ppcls_lite.infer.model.embedding import Embedding
from ppcls_lite.infer.model.postprocess import Topk
from ppcls_lite.infer.rec_config import with_usual_names
from ppcls_lite.serving.network import DetectorNetwork, ImageNetwork
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.schema import DEPLOY, RECOGNITION


class ServedTask:
    """What differs between the tasks.

    Class attributes:
        noun: what a model of the task is.
        script: what predicts the same with the exported model.
        config: the name of the prediction config of that script, in deploy/configs.
        postprocess: the class of the post-processing that a model of the task has.
        network: how its engines are fed.
    """

    noun = script = config = postprocess = None
    network = ImageNetwork()

    def read_config(self, path, overrides=()):
        """The prediction config in the file at `path` with the changes `overrides` of the command line."""
        raise NotImplementedError

    def results_of(self, postprocess, model_dir, config):
        """The function from outputs [N, ...], and the network's `facts` by name, to a dict for each image.

        Numbers have all digits. Raises UserError for a model of another task, and for settings that cannot be used.
        """
        if not isinstance(postprocess, self.postprocess):
            raise UserError(f"{model_dir}: expected {self.noun}, found a model with {type(postprocess).__name__}")
        return self.choose_results(postprocess, model_dir, config)

    def choose_results(self, postprocess, model_dir, config):
        """As `results_of`, of a model of this task."""
        raise NotImplementedError

    def refuse_gallery(self, model_dir, config):
        """UserError where the prediction config has a gallery, which this task cannot use."""
        if config.get("IndexProcess"):
            raise UserError(f"IndexProcess: a gallery needs a recogniser, and {model_dir} is {self.noun}")


class Classification(ServedTask):
    """The k best classes of an image."""

    noun, script, config, postprocess = "a classifier", "predict_cls.py", "inference_cls.yaml", Topk

    def read_config(self, path, overrides=()):
        return load_config(path, overrides, DEPLOY)

    def choose_results(self, postprocess, model_dir, config):
        self.refuse_gallery(model_dir, config)
        return partial(postprocess, decimals=None)


class Detection(ServedTask):
    """The boxes in an image."""

    noun, script, config, postprocess = "a detector", "predict_det.py", "inference_det.yaml", DetectionBoxes
    network = DetectorNetwork()

    def read_config(self, path, overrides=()):
        return load_config(path, overrides, DEPLOY)

    def choose_results(self, postprocess, model_dir, config):
        self.refuse_gallery(model_dir, config)
        return partial(postprocess, exact=True)


class Recognition(ServedTask):
    """The embedding of an image; with a gallery (`IndexProcess.index_dir`) its nearest entries."""

    noun, script, config, postprocess = "a recogniser", "predict_rec.py", "inference_rec.yaml", Embedding

    def read_config(self, path, overrides=()):
        return with_usual_names(load_config(path, overrides, RECOGNITION), path, overrides)

    def choose_results(self, postprocess, model_dir, config):
        if not has_gallery(config):
            return postprocess
        settings = IndexSettings.from_config(config, model_dir)
        ops, _ = choose_processing(model_dir, config)
        gallery = Gallery.load(settings.index_dir, fingerprint(model_dir, ops, postprocess))
        settings.check(gallery)
        return partial(_with_matches, Lookup(postprocess, gallery, settings.return_k, settings.score_thres))


def has_gallery(config):
    """Whether a prediction config names a gallery."""
    return bool((config.get("IndexProcess") or {}).get("index_dir"))


def _with_matches(lookup, features):
    """A dict for each row of features [N, D]: its embedding, and the names and scores of its matches in the gallery."""
    results = lookup.embedding(features)
    for result, found in zip(results, lookup(features)):
        result.update({key: [match[key] for match in found["matches"]] for key in ("rec_docs", "rec_scores")})
    return results


def task_of_model(model_dir):
    """The task of the exported model in the folder, by its own post-processing."""
    name = (read_model_config(model_dir).get("PostProcess") or {}).get("name")
    return next((task for task in (Recognition(), Detection()) if task.postprocess.__name__ == name), Classification())
