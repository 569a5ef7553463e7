"""A model in the Open Inference Protocol, version 2: what it is called, takes and gives, and its answers.

A model has two inputs, of which a request has one: `image`, image files; or the network's own, a tensor as the model's
transforms make it. Its outputs are the network's own, and `result`, what a program wants to know about each image.
"""

import json
from dataclasses import dataclass

from ppcls_lite.serving.open_tensors import written
from ppcls_lite.serving.request import Code, RequestError

VERSION = "1"  # of each model, and of these paths
IMAGE, RESULT = "image", "result"


@dataclass(frozen=True)
class Interface:
    """What a model takes and gives.

    Attributes:
        model: its name.
        input, output: the names of the network's tensors.
        input_shape, output_shape: of one image, without the number of images.
    """

    model: str
    input: str
    output: str
    input_shape: tuple
    output_shape: tuple

    @classmethod
    def of(cls, name, op):
        """That of the model `name`, which an `ImageOp` predicts."""
        inner, outer = _unlike(op.input_name, IMAGE), _unlike(op.output_name, RESULT)
        return cls(name, inner, outer, tuple(op.input_shape), tuple(op.engines.output_shape))

    @property
    def outputs(self):
        """The names of all outputs."""
        return [self.output, RESULT]

    def metadata(self):
        """The answer to who asks what the model is."""

        def tensor(name, datatype, *shape):
            return {"name": name, "datatype": datatype, "shape": [-1, *shape]}

        return {
            "name": self.model,
            "versions": [VERSION],
            "platform": "paddle",
            "inputs": [tensor(IMAGE, "BYTES"), tensor(self.input, "FP32", *self.input_shape)],
            "outputs": [tensor(self.output, "FP32", *self.output_shape), tensor(RESULT, "BYTES")],
        }


def _unlike(name, other):
    """The name, made unlike the one that the protocol's own tensor has."""
    return f"{name}_tensor" if name == other else name


def build_answer(request, interface, texts, outputs):
    """(bytes, how many of them are JSON or None) that answer a `Request`.

    Args:
        texts: {key: JSON text} of the pipeline's answer.
        outputs: what the network computed [N, ...], or None where that is not sent.
    Raises RequestError where the pipeline's answer has no `result` for each image.
    """
    described, parts = [], []
    for name, is_binary in request.outputs.items():
        value = _results(texts) if name == RESULT else outputs
        entry, raw = written(name, value, is_binary)
        described.append(entry)
        parts.append(raw)
    content = {"model_name": interface.model, "model_version": VERSION}
    if request.id is not None:
        content["id"] = request.id
    text = json.dumps({**content, "outputs": described}, ensure_ascii=False).encode()
    return b"".join([text, *parts]), len(text) if any(request.outputs.values()) else None


def _results(texts):
    """The JSON text of each image's result."""
    if RESULT not in texts:
        raise RequestError(Code.MODEL, f"the operator answers no `{RESULT}`, but {', '.join(texts)}")
    return [json.dumps(result, ensure_ascii=False) for result in json.loads(texts[RESULT])]
