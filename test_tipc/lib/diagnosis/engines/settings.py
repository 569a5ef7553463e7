"""How an exported model is run: the switches of Paddle Inference that may change what it computes."""

from dataclasses import dataclass, replace
from typing import Optional

PRECISIONS = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True)
class Settings:
    """Strict mode, where nothing else is said.

    `deleted`: the names of IR passes that do not run; `operators`: the types that oneDNN may compute, None for all;
    `onnx`: an ONNX file of the model, which ONNX Runtime runs instead of Paddle.
    """

    ir: bool = False
    memory: bool = False
    onednn: bool = False
    openvino: bool = False
    tensorrt: bool = False
    precision: str = "float32"
    threads: int = 1
    deleted: tuple = ()
    operators: Optional[tuple] = None
    onnx: str = ""

    def but(self, **changes):
        """The same with other values."""
        return replace(self, **changes)

    def uses(self, switch):
        """Whether something is switched on and at work: OpenVINO and TensorRT take the network from oneDNN."""
        if switch == "onednn":
            return self.onednn and not (self.openvino or self.tensorrt)
        return self.threads > 1 if switch == "threads" else bool(getattr(self, switch))


STRICT = Settings()


def of_predictor(noted):
    """The `Settings` of a recorded predictor; None where the recording does not say them."""
    if noted is None:
        return None
    return Settings(
        ir=bool(noted.get("ir_optim")),
        memory=bool(noted.get("memory_optim")),
        onednn=bool(noted.get("onednn")),
        openvino=bool(noted.get("openvino")),
        tensorrt=bool(noted.get("tensorrt")),
        precision=_precision(noted.get("precision")),
        threads=max(1, int(noted.get("threads") or 1)),
        deleted=tuple(map(str, noted.get("deleted") or ())),
    )


def _precision(word):
    return word if word in PRECISIONS else "float32"
