"""All stages, in the order in which an image passes them."""

from diagnosis.engines.check import Engines
from diagnosis.images.decoded import check_decoded
from diagnosis.images.network_input import check_network_input
from diagnosis.network.check import check_network
from diagnosis.printed.check import check_postprocessing
from diagnosis.stage import DIFFERS, not_reached
from diagnosis.weights.check import check_weights

BEFORE = {"decoded pixels": check_decoded, "network input": check_network_input, "weights": check_weights,
          "network": check_network}  # fmt: skip
ENGINES = ("memory optimisation", "IR passes", "oneDNN", "OpenVINO", "ONNX Runtime", "TensorRT", "precision",
           "batch size and threads", "outputs of infer")  # fmt: skip
BEHIND = {"post-processing": check_postprocessing}
STAGES = (*BEFORE, *ENGINES, *BEHIND)


def examine(subject, only=None, go_on=False, show=lambda stage: None):
    """The `Stage` of each of STAGES, or of `only` that one; `show(stage)` is called when it is known.

    Those behind the first that differs are not reached, unless `go_on`.
    """
    stages = []
    with Engines(subject) as engines:
        checks = {**{name: lambda check=check: check(subject) for name, check in BEFORE.items()},
                  **dict(zip(ENGINES, engines.checks)),
                  **{name: lambda check=check: check(subject) for name, check in BEHIND.items()}}  # fmt: skip
        for name in STAGES if only is None else (only,):
            subject.progress(f"{name} …")
            over = not go_on and any(stage.result == DIFFERS for stage in stages)
            stage = not_reached(name) if over else checks[name]()
            stages.append(stage)
            show(stage)
    return stages
