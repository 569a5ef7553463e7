"""The recorded calls of the trained network, computed again by the exported model in strict mode."""

import os

from agreement import limits
from agreement.behind import Matches
from agreement.rows import keys_of, model_inputs

_MOST_THREADS = (2, 4, 8, 16)


class Replay:
    """The kept calls of `sources`, {step: Fitting}, through the exported model.

    `matches` says how its outputs equal the recorded ones, None before `run`; `threads` and `by_rows` how they were
    computed; `fault` what Paddle said where the model cannot take the inputs.
    """

    def __init__(self, exported, sources):
        self.exported, self.sources = exported, sources
        pairs = [pair for source in sources.values() for pair in zip(source.calls, source.orders)]
        self.kept = [(call, orders) for call, orders in pairs if call.file]
        self._step = {id(call): step for step, source in sources.items() for call in source.calls}
        self.on_gpu = any(call.place == "gpu" for call, _ in self.kept)
        self.limit = limits.OTHER_DEVICE if self.on_gpu else limits.REWRITTEN
        self.threads, self.by_rows, self.fault, self.choice = 1, False, "", 0
        self.matches = None

    @property
    def traced(self):
        """[(call, possible orders of its inputs)] of the kept calls whose operators were noted."""
        return [pair for pair in self.kept if pair[0].trace]

    @property
    def first(self):
        """(call, order of its inputs) of the first kept call."""
        call, orders = self.kept[0]
        return call, self.order_of(orders)

    @property
    def unequal(self):
        """The same of the first kept call of a step that is not bitwise equal, of the first one where all are."""
        bad = {step for step in self.sources if not all(match.is_bitwise for match in self.matches.of(step))}
        found = (pair for pair in self.kept if self._step[id(pair[0])] in bad)
        call, orders = next(found, self.kept[0])
        return call, self.order_of(orders)

    def order_of(self, orders):
        """The order of inputs that explains the outputs, of a call's possible ones."""
        return orders[min(self.choice, len(orders) - 1)]

    def images(self, step):
        """The number of different images of a step that were compared."""
        source = self.sources[step]
        keys = {
            key
            for call, orders in zip(source.calls, source.orders)
            if call.file
            for key in keys_of(call, self.order_of(orders))
        }
        return len(keys)

    def run(self, same_weights):
        """Compute and compare all kept calls; `same_weights`: the export has no others, so that threads may explain."""
        try:
            self._choose_order()
            self.matches = self._compare(self.kept)
            if self.matches.is_bitwise or self.by_rows:
                return
            if self._is_batch_fixed:
                self.matches, self.by_rows = self._compare(self.kept, by_rows=True), True
            elif same_weights and not self.on_gpu:
                self._try_threads()
        except RuntimeError as error:
            self.fault = str(error)

    def agrees_on(self, call, orders):
        """Whether the exported model's outputs for one kept call are within the limit; RuntimeError as it says."""
        return all(match.is_near for match in self._compare([(call, orders)], self.threads).counted)

    @property
    def _is_batch_fixed(self):
        fixed = self.exported.fixed_batch
        return fixed is not None and any(call.images != fixed for call, _ in self.kept)

    def _compare(self, kept, threads=1, by_rows=False):
        matches = Matches(self.exported.outputs, self.limit, self.exported.embeds)
        for call, orders in kept:
            order = self.order_of(orders)
            outputs = self._outputs(call, order, threads, by_rows)
            matches.add(self._step[id(call)], call, keys_of(call, order), call.arrays("out"), outputs)
        return matches

    def _outputs(self, call, order, threads, by_rows):
        arrays, batched = model_inputs(call, order)
        if by_rows and call.images > 1:
            return self.exported.run_rows(arrays, batched, call.images)
        try:
            return self.exported.run(arrays, threads)
        except RuntimeError:
            if call.images == 1:
                raise
        self.by_rows = True  # the batch is fixed inside the model
        return self.exported.run_rows(arrays, batched, call.images)

    def _choose_order(self):
        """Of several orders of inputs of one kind, that whose outputs are equal on the first call."""
        several = len(self.kept[0][1])
        for choice in range(several if several > 1 else 0):
            self.choice = choice
            if self._compare(self.kept[:1]).is_bitwise:
                return
        self.choice = 0

    def _try_threads(self):
        """Sums of several threads have other last bits: look for the number of them that the step used."""
        cores = os.cpu_count() or 1
        for threads in sorted({*_MOST_THREADS, cores}):
            if threads <= cores and self._compare(self.kept[:1], threads).is_bitwise:
                matches = self._compare(self.kept, threads)
                if matches.is_bitwise:
                    self.matches, self.threads = matches, threads
                    return
