"""What a config says of recognition: networks whose output is features, which are searched for in a gallery."""

from ppcls_lite.utils.errors import UserError

NAME = "RecModel"
POSTPROCESS = "Embedding"
FEATURES = ("features", "backbone")  # the outputs of a RecModel that can be compared


def is_recognition(config):
    """Is the config's network one that gives features?"""
    return (config.get("Arch") or {}).get("name") == NAME


def is_retrieval(config):
    """Is the config's network evaluated by a search in a gallery (`Global.eval_mode: retrieval`)?"""
    return config["Global"].get("eval_mode") == "retrieval"


def check_retrieval(config):
    """UserError for a retrieval with what PaddleClas has and this library has not."""
    section = config["Global"]
    if not is_retrieval(config):
        return
    if section.get("re_ranking"):
        raise UserError("Global.re_ranking: expected False: the results of a search are not ranked again here")
    if section.get("feature_binarize") is not None:
        found = section["feature_binarize"]
        raise UserError(f"Global.feature_binarize: expected null: features are compared as numbers, found {found!r}")
    source = section.get("retrieval_feature_from")
    if source is not None and source not in FEATURES:
        raise UserError(f"Global.retrieval_feature_from: expected {' or '.join(FEATURES)}, found {source!r}")


def complete_infer(config):
    """Fill in what the section `Infer` of a recognition leaves out, as PaddleClas's recognition configs do.

    The transforms are those of the images that are searched for (`DataLoader.Eval.Query`, or `Eval` alone), with
    channels first; the post-processing is the only one that there is. Other configs stay as they are.
    """
    if not is_recognition(config):
        return
    infer = config["Infer"] = dict(config.get("Infer") or {})
    evaluation = (config.get("DataLoader") or {}).get("Eval") or {}
    dataset = (evaluation.get("Query") or evaluation).get("dataset") or {}
    if infer.get("transforms") is None and isinstance(dataset.get("transform_ops"), list):
        infer["transforms"] = _channels_first(dataset["transform_ops"])
    if not infer.get("PostProcess"):
        infer["PostProcess"] = {"name": POSTPROCESS}


def _channels_first(ops):
    """`ops` with `ToCHWImage` at their end, unless one of them moves the channels already."""
    return list(ops) if any(map(_moves_channels, ops)) else [*ops, {"ToCHWImage": None}]


def _moves_channels(op):
    if not isinstance(op, dict):
        return op == "ToCHWImage"
    return "ToCHWImage" in op or bool((op.get("DecodeImage") or {}).get("channel_first"))
