"""PaddleClas's names in the prediction config of a recogniser, and the usual ones for the same things."""

from ppcls_lite.utils.config import without_nulls
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.postprocess_forms import flatten_postprocess
from ppcls_lite.utils.recognition import POSTPROCESS

_SECTIONS = {"RecPreProcess": "PreProcess", "RecPostProcess": "PostProcess"}
_DETECTOR = ("DetPreProcess", "DetPostProcess")
_MODEL = "rec_inference_model_dir"


def with_usual_names(config, config_path, overrides=()):
    """A recogniser's prediction config with the names that all prediction configs have here.

    PaddleClas has RecPreProcess, RecPostProcess and Global.rec_inference_model_dir, since some of its configs have a
    detector too. The detector's sections are left out, and the log says so: whole images are recognised here.
    `Global.feature_normalize` becomes an option of the post-processing. On the command line (`overrides`), either name
    of the model's folder goes before the file's. UserError where a section has values under both its names.
    """
    config = {**config, "Global": dict(config["Global"])}
    if any(config.pop(name, None) for name in _DETECTOR):
        logger.info(f"{config_path}: the detector is not used: whole images are recognised")
    for theirs, ours in _SECTIONS.items():
        section = without_nulls(config.pop(theirs, None))
        if section:
            if without_nulls(config.get(ours)).keys() - {"name"}:
                raise UserError(f"{config_path}: expected {theirs} or {ours}, which are the same, found both")
            renamed = {"PostProcess": section}
            flatten_postprocess(renamed, config_path)
            if theirs == "RecPostProcess" and renamed["PostProcess"].get("name", POSTPROCESS) != POSTPROCESS:
                found = renamed["PostProcess"]["name"]
                raise UserError(f"{config_path}: {theirs}: expected null or {POSTPROCESS}, found {found!r}")
            config[ours] = renamed["PostProcess"]
    settings = config["Global"]
    model, normalize = settings.pop(_MODEL, None), settings.pop("feature_normalize", None)
    if model is not None and not any(text.startswith("Global.inference_model_dir=") for text in overrides):
        settings["inference_model_dir"] = model
    if normalize is not None:
        section = without_nulls(config.get("PostProcess")) or {"name": POSTPROCESS}
        config["PostProcess"] = {"feature_normalize": normalize, **section}
    return config
