"""What the services of a classifier and of a recogniser do differently: how outputs become results, and who says so."""

from functools import partial

from ppcls_lite.infer.gallery import Gallery, fingerprint
from ppcls_lite.infer.gallery.lookup import Lookup
from ppcls_lite.infer.gallery.settings import IndexSettings
from ppcls_lite.infer.model.config import choose_processing, read_model_config
from ppcls_lite.infer.model.embedding import Embedding
from ppcls_lite.infer.model.postprocess import Topk
from ppcls_lite.infer.rec_config import with_usual_names
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
    """

    noun = script = config = postprocess = None

    def read_config(self, path, overrides=()):
        """The prediction config in the file at `path` with the changes `overrides` of the command line."""
        raise NotImplementedError

    def results_of(self, postprocess, model_dir, config):
        """The function from outputs [N, ...] to a dict for each image, with all digits of every number.

        Raises UserError for a model of another task, and for settings that cannot be used.
        """
        if not isinstance(postprocess, self.postprocess):
            raise UserError(f"{model_dir}: expected {self.noun}, found a model with {type(postprocess).__name__}")
        return self.choose_results(postprocess, model_dir, config)

    def choose_results(self, postprocess, model_dir, config):
        """As `results_of`, of a model of this task."""
        raise NotImplementedError


class Classification(ServedTask):
    """The k best classes of an image."""

    noun, script, config, postprocess = "a classifier", "predict_cls.py", "inference_cls.yaml", Topk

    def read_config(self, path, overrides=()):
        return load_config(path, overrides, DEPLOY)

    def choose_results(self, postprocess, model_dir, config):
        if config.get("IndexProcess"):
            raise UserError(f"IndexProcess: a gallery needs a recogniser, and {model_dir} is {self.noun}")
        return partial(postprocess, decimals=None)


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
    return Recognition() if name == Embedding.__name__ else Classification()
