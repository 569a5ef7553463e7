"""The fastest engine of this machine whose predictions agree with the plain engine's."""

import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ppcls_lite.infer.engines.agreement import TOLERANCE, Agreement
from ppcls_lite.infer.engines.base import ENGINES, Engine, register_engine
from ppcls_lite.infer.model.shape import batch_shape
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

_RUNS = 7  # timed after one that is not
_LONGEST = 1.0  # seconds spent timing one engine, once it has had two runs


class Trial(NamedTuple):
    """What `auto` found about one engine: milliseconds per batch, difference from the plain engine, or why not."""

    name: str
    milliseconds: float = np.inf
    difference: float = 0.0
    why_not: str = ""

    @property
    def usable(self):
        return not self.why_not

    def __str__(self):
        if not self.usable:
            return f"{self.name}: {self.why_not}"
        return f"{self.name} {self.milliseconds:.2f} ms (differs by {self.difference:.1g})"


@register_engine("auto")
class AutoEngine(Engine):
    """Tries every engine for exported models on one probe batch of `options.batch_size` random images.

    Their size is the one that the model takes (`batch_shape`).

    An engine that differs from the plain engine by more than 1e-4 in any probability, or in its top-5, is left out.
    The choice is logged with every engine's time; nothing is remembered for the next start.
    """

    def __init__(self, model, options=None):
        super().__init__(model, options)
        shape = batch_shape(model, self.options.batch_size, self.options.sample_shape)
        probe = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.trials, self.chosen = choose_engine(model, self.options, probe)
        best, *others = sorted(self.trials, key=lambda trial: trial.milliseconds)
        listed = "; ".join(map(str, others))
        agrees = f"the fastest that agrees at batch size {shape[0]} of {shape[1:]}"
        logger.info(f"engine auto: took {best}, {agrees}; {listed}")
        self.name, self.device = self.chosen.name, self.chosen.device
        self.input_names = self.chosen.input_names

    @property
    def version(self):
        return self.chosen.version

    def observe(self, inputs):
        return self.chosen.effects  # known since it was tried

    def compute(self, images):
        return self.chosen.compute(images)

    def close(self):
        self.chosen.close()


def choose_engine(model, options, probe):
    """([Trial of every engine], the best engine, loaded) for the images `probe`."""
    best, expected, trials = None, None, []
    names = [name for name in ENGINES.names() if name not in ("auto", "paddle", "training", "training_export")]
    for name in ["paddle", *names]:
        engine, trial, scores = _try(name, model, options, probe, expected)
        trials.append(trial)
        if name == "paddle":
            if engine is None:  # then the model itself cannot be used
                raise UserError(trial.why_not)
            expected = scores
        if engine is not None and (best is None or trial.milliseconds < best[0].milliseconds):
            if best:
                best[1].close()
            best = trial, engine
        elif engine is not None:
            engine.close()
    return trials, best[1]


def _try(name, model, options, probe, expected):
    """(engine or None, Trial, its scores or None); `expected` None means this is the plain engine."""
    builder, options = ENGINES.get(name), replace(options, engine=name)
    reason = builder.why_not(options, model)
    if reason:
        return None, Trial(name, why_not=reason), None
    try:
        engine = builder(model, options)
        engine.prove({engine.input_names[0]: probe}, say=False)  # only the one that is taken is of interest
        scores = engine.run(probe)
    except UserError as error:
        return None, Trial(name, why_not=str(error)), None
    agreement = Agreement(name, TOLERANCE)
    agreement.add(scores if expected is None else expected, scores)
    if not agreement.agrees:
        engine.close()
        return None, Trial(name, why_not=f"differs from the plain engine by {agreement.largest:.1g}"), None
    return engine, Trial(name, 1000 * _seconds(engine, probe), agreement.largest), scores


def _seconds(engine, probe):
    """Seconds for one batch, the median of some runs."""
    spent = []
    while len(spent) < _RUNS and (len(spent) < 2 or sum(spent) < _LONGEST):
        start = time.perf_counter()
        engine.run(probe)
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))
