"""What the stages of the engines compute: recorded inputs, in strict mode, and how an inference command ran them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

from agreement.engine import order_of_outputs
from agreement.rows import model_inputs
from diagnosis.engines import sensitivity
from diagnosis.engines.difference import Difference
from diagnosis.engines.settings import Settings, of_predictor
from diagnosis.stage import DIFFERS, Stage
from diagnosis.subject import FEW
from script import counted

ALL = Settings(ir=True, memory=True, onednn=True)
MOST_CASES = 4  # inference commands of different settings that are examined


class Found(NamedTuple):
    """What explains a difference; see `Stage`."""

    cause: str
    why: str
    advice: str
    more: dict


@dataclass
class Case:
    """Samples, [arrays of the model's inputs], and the `settings` that are to blame where their outputs differ.

    `name`: of the inference command, "" where none was recorded; `recorded`: its outputs for the samples; `noted`: what
    the recording says of its Config; `is_judged`: whether a difference may be blamed; `is_known`: whether `settings`
    are those of the command, and not all that there are.
    """

    exported: object
    samples: list
    images: list
    settings: Settings
    name: str = ""
    noted: Optional[dict] = None
    recorded: Optional[list] = None
    is_judged: bool = True
    is_known: bool = False
    place: str = "cpu"
    why: str = ""  # what is wrong with the recorded outputs

    @cached_property
    def strict(self):
        """The outputs of each sample in strict mode; RuntimeError where the model cannot take one."""
        return [self.exported.run(arrays) for arrays in self.samples]

    @cached_property
    def magnified(self):
        """What rounding may do: a `Difference`, see sensitivity.py."""
        return sensitivity.magnified(self.exported, self.samples, self.strict, self.images)

    def compare(self, found, expected=None):
        """The `Difference` of outputs and those of strict mode. Rounding is measured only where it may matter."""
        expected = self.strict if expected is None else expected
        difference = Difference(expected, found, self.images)
        return Difference(expected, found, self.images, self.magnified) if difference.fault else difference

    def uses(self, switch):
        """Whether the command used a setting, as far as that is known."""
        if switch == "onnx" and self.name:
            return False  # a Config has no such engine
        return not self.is_known or self.settings.uses(switch)

    def stage(self, name, difference):
        """The `Stage` of a difference that is within the tolerance."""
        words, more = f"{difference.words}, {counted(sum(self.images), 'image')}", {"images": sum(self.images)}
        if difference.magnified is not None:
            more["last_bit"] = sensitivity.last_bit(difference.magnified)
        if difference.is_widened:
            words += f"; the network magnifies the last bits of its input to {more['last_bit']:.2g}"
        return Stage(name, words=words, largest=difference.largest, allowed=difference.allowed, more=more)

    def blamed(self, name, difference, found):
        """The `Stage` of a difference that is beyond the tolerance, and of what was `Found` to explain it."""
        stage = self.stage(name, difference)
        stage.words = stage.words.replace(difference.words, difference.words_beyond, 1)
        stage.result, stage.cause, stage.why, stage.advice = DIFFERS, found.cause, found.why, found.advice
        stage.more.update(found.more)
        return stage


def cases_of(subject):
    """The `Case`s of a subject, one for each setting of its inference commands: those whose recorded outputs are out of
    tolerance; else all, and nothing can be blamed; or, where no inference was recorded, one for all engines."""
    exported, samples = subject.exported, subject.samples
    usual = Case(exported, [arrays for arrays, _ in samples], [_images(*sample) for sample in samples], ALL)
    examined = [_of_engine(exported, engine) for engine in subject.engines]
    examined = [case for case in examined if case]
    if not examined:
        return [usual] if samples else []
    guilty = [case for case in examined if case.why]
    for case in examined:
        case.is_judged = bool(case.why)
    chosen = {(case.settings, case.place): case for case in reversed(guilty or examined)}
    return list(chosen.values())[::-1][:MOST_CASES]


def _of_engine(exported, engine):
    """The `Case` of an inference command, its worst images first; None where no arrays were kept."""
    parts = []
    for fitting in engine.fittings:
        for call, orders in zip(fitting.calls, fitting.orders):
            if call.file:
                parts.append(_Part(exported, fitting.network, call, orders[0]))
    if not parts:
        return None
    parts.sort(key=lambda part: -part.excess)
    noted, chosen = parts[0].network.settings, []
    for part in parts:
        if part.network is parts[0].network and part.recorded is not None and sum(one.images for one in chosen) < FEW:
            chosen.append(part)
    chosen = chosen or parts[:1]
    settings = of_predictor(noted)
    is_known = settings is not None or chosen[0].call.kind != "predictor"  # a loaded layer or program has no engine
    settings = settings or (Settings() if is_known else ALL)
    recorded = [part.recorded for part in chosen]
    recorded = None if None in recorded else recorded
    arrays, images = [part.arrays for part in chosen], [part.images for part in chosen]
    case = Case(exported, arrays, images, settings, engine.name, noted, recorded, is_known=is_known)
    case.place = chosen[0].call.place
    case.why = _fault(case, parts)
    return case


class _Part:
    """A kept call of an inference command: how much its recorded outputs are beyond the tolerance."""

    def __init__(self, exported, network, call, order):
        self.network, self.call, self.images = network, call, call.images
        self.arrays, _ = model_inputs(call, order)
        outputs = call.arrays("out")
        places = order_of_outputs(call, exported.outputs)
        self.recorded = None if places is None else [outputs[place] for place in places]
        self.excess, self.refused = 0.0, ""
        if self.recorded is None:
            self.excess = float("inf")
            return
        try:
            expected = exported.run(self.arrays)
        except RuntimeError as error:
            self.excess, self.refused = float("inf"), str(error)
            return
        difference = Difference([expected], [self.recorded], [self.images])
        worst = difference.worst
        self.excess = difference.outputs[worst].largest / difference.limit(worst)
        if difference.fault:
            self.excess += 1.0


def _fault(case, parts):
    if parts[0].refused:
        return f"strict mode cannot take the recorded inputs: {parts[0].refused}"
    if case.recorded is None:
        return "it has other outputs than the exported model"
    return case.compare(case.recorded).fault


def _images(arrays, is_batched):
    return next((len(array) for array, cut in zip(arrays, is_batched) if cut), 1)
