"""What a diagnosis examines: the exported model, and what was recorded of the steps."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Callable, Optional

from agreement.engine import Engine
from agreement.exported import Exported
from agreement.fitting import fit
from agreement.network import check_network
from agreement.preprocessing import check_preprocessing
from agreement.rows import model_inputs

FEW = 4  # images that the stages of the network and of the engines compute


@dataclass
class Subject:
    """`exported` is the model; `references` are recordings of the trained network, {"evaluate": …, "predict": …}, and
    `inferred` those of inference commands; the rest is given where it is known."""

    exported: Exported
    references: dict
    inferred: list
    weights_file: Optional[Path] = None  # the checkpoint that evaluate and predict load
    predict_log: Optional[Path] = None  # what the prediction printed
    infer_logs: list = field(default_factory=list)  # one for each of `inferred`
    progress: Callable = print  # takes a line that says what is done now

    @cached_property
    def engines(self):
        """The `Engine` of each inference command."""
        return [Engine(recording, self.exported) for recording in self.inferred]

    @cached_property
    def fittings(self):
        """{step: the `Fitting` of the trained network} of the steps that called it."""
        found = {step: fit(recording, self.exported, ("layer",)) for step, recording in self.references.items()}
        return {step: fittings[0] for step, fittings in found.items() if fittings}

    @property
    def reference(self):
        """(name of the step, its recording) that infer's images are compared with: predict, else evaluate;
        ("predict", None) without either."""
        for step in ("predict", "evaluate"):
            if step in self.references and self.references[step].calls:
                return step, self.references[step]
        return "predict", self.references.get("predict")

    @cached_property
    def preprocessing(self):
        """(the `Result`, {name of an engine: Pairing}) of the check of the preprocessing, against `reference`."""
        return check_preprocessing(self.exported, self.reference[1], self.engines)

    @cached_property
    def network(self):
        """(the `Result`, the `Replay` or None) of the check of the network."""
        return check_network(self.exported, self.references, self.weights_file)

    @cached_property
    def samples(self):
        """[(arrays of the model's inputs, whether each is cut along the batch)] of up to FEW recorded images' calls,
        those of the trained network first; [] where no arrays were kept."""
        # a prediction's images come one by one, an evaluation's in large batches
        steps = sorted(self.fittings, key=lambda step: step != "predict")
        pairs = [pair for step in steps for pair in zip(self.fittings[step].calls, self.fittings[step].orders)]
        pairs = [(call, orders[0]) for call, orders in pairs] + [pair for one in self.engines for pair in one.calls]
        found, images = [], 0
        for call, order in pairs:
            if call.file and images < FEW:
                found.append(model_inputs(call, order))
                images += call.images
        return found
