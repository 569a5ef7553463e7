"""The third check: does the engine of an inference command compute what the exported model computes in strict mode?"""

import re

import numpy as np

from agreement import limits
from agreement.batch import why_not_alone
from agreement.boxes import Pairs, is_boxes, split
from agreement.dead import constant_words
from agreement.embeddings import Embeddings, is_embeddings
from agreement.fitting import fit
from agreement.limits import Spread
from agreement.result import DISAGREES, Result, not_compared
from agreement.rows import keys_of, model_inputs, parts_of

KINDS = ("predictor", "translated", "program")


class Engine:
    """The calls of the exported model in the recording of an inference command; `name` is that of its check."""

    def __init__(self, recording, exported):
        self.recording, self.exported = recording, exported
        self.name = f"engine {setting_of(recording.folder)}"
        fittings = fit(recording, exported, KINDS)
        own = [one for one in fittings if exported.is_one_of(one.network.files)]
        self.fittings = own or fittings
        self.is_elsewhere = not own and any(one.network.files for one in fittings)
        self.is_other_model = self.is_elsewhere and exported.has_weights_of(self.files) is False

    @property
    def calls(self):
        """[(call, order of the model's inputs)] of all of them; several predictors may share the images."""
        return [(call, orders[0]) for one in self.fittings for call, orders in zip(one.calls, one.orders)]

    @property
    def files(self):
        """The files that were loaded."""
        return list(dict.fromkeys(file for one in self.fittings for file in one.network.files))


def setting_of(folder):
    """The setting as the chain's step names it: `cpu usemkldnn_True`, of a folder
    `python_infer_cpu_gpus_-1_usemkldnn_True_observed` or `<training>_infer_cpu_usemkldnn_True_observed`."""
    return re.sub(r"^(?:.*_infer_)?(cpu|gpu)_(?:gpus_[^_]*_)?", r"\1 ", folder.name.removesuffix("_observed"))


def check_engine(engine):
    """The `Result` of the recorded outputs of an inference command against strict mode, with the same batches."""
    if not engine.calls:
        return not_compared(engine.name, _why_no_call(engine))
    kept = [(call, order) for call, order in engine.calls if call.file]
    if not kept:
        return not_compared(engine.name, "the arrays of no call were kept" + _lost(engine.recording))
    comparison = _Comparison(len(engine.exported.outputs), engine.exported.embeds)
    for call, order in kept:
        arrays, _ = model_inputs(call, order)
        try:
            expected = engine.exported.run(arrays)
        except RuntimeError as error:
            return Result(engine.name, DISAGREES, why=f"strict mode cannot take the recorded inputs: {error}")
        found = call.arrays("out")
        places = order_of_outputs(call, engine.exported.outputs)
        if places is None:
            shapes = [[list(one.shape) for one in side] for side in (found, expected)]
            return Result(engine.name, DISAGREES, why=f"outputs {shapes[0]}, in strict mode {shapes[1]}")
        found = [found[place] for place in places]
        comparison.add(call, keys_of(call, order), expected, found)
        if call.images > 1 and not comparison.batch:  # one batch is enough: the others go the same way
            comparison.batch = call.images
            comparison.mixed = why_not_alone(engine.exported, call, order, found)
    return _result(engine, comparison)


def _why_no_call(engine):
    recording = engine.recording
    if not recording.calls:
        return "nothing was observed of infer" + _lost(recording)
    if not recording.candidates(KINDS):
        return "infer ran no exported model, only networks in dynamic graph"
    takes = ", ".join(map(str, engine.exported.feeds))
    return f"no call in it has the inputs of the exported model, {takes}"


def _lost(recording):
    return f": {recording.lost}" if recording.lost else ""


def order_of_outputs(call, names):
    """The positions of the model's outputs among the call's, by name or else in their order; None: not those."""
    named = {tensor.name: position for position, tensor in enumerate(call.outputs)}
    if len(call.outputs) < len(names):
        return None
    return [named[name] for name in names] if set(names) <= set(named) else list(range(len(names)))


class _Comparison:
    """The differences of all calls."""

    def __init__(self, outputs, embeds=False):
        self.embeds = embeds
        self.embeddings = {}  # of each output that has them
        self.pairs = Pairs(limits.ENGINE)
        self.spreads = [Spread() for _ in range(outputs)]
        self.keys, self.equal = set(), {}
        self.differences = [0.0] * outputs
        self.scales = [0.0] * outputs
        self.rows = []  # (output, expected row, found row) of scores
        self.elements = self.total = 0
        self.shapes = self.nan = self.mixed = ""
        self.batch = 0  # images of the batch that was compared with its images alone
        self.numbers = self.has_boxes = False

    def add(self, call, keys, expected, found):
        """Count one call."""
        self.keys.update(keys)
        same = all(limits.same_bits(a, b) for a, b in zip(expected, found))
        for key in keys:
            self.equal[key] = self.equal.get(key, True) and same
        boxes = [number for number, array in enumerate(expected) if is_boxes(array) and is_boxes(found[number])]
        counts = [array for array in expected if array.dtype.kind in "iu" and array.size == call.images]
        boxes = [number for number in boxes if expected[number].ndim == 3 or counts or len(expected) == 1]
        for number, (first, second) in enumerate(zip(expected, found)):
            if number in boxes:
                self._add_boxes(call, first, second, expected, found)
            elif boxes and first.dtype.kind in "iu" and first.size == call.images:
                continue  # it counts the boxes, which are paired
            else:
                self._add(number, call, keys, first, second)

    def _add_boxes(self, call, first, second, expected, found):
        self.has_boxes = True
        lists = split(first, expected, call.images), split(second, found, call.images)
        if len(lists[0]) != len(lists[1]):
            lists = [first], [second]
        for own, others in zip(*lists):
            self.pairs.add(own, others)

    def _add(self, number, call, keys, first, second):
        if limits.squeezed(first.shape) == limits.squeezed(second.shape):  # a number is [] for one, [1] for the other
            second = second.reshape(first.shape)
        if first.shape != second.shape:
            self.shapes = f"an output is {list(second.shape)}, in strict mode {list(first.shape)}"
            return
        if first.dtype.kind != "f":
            self.total += first.size
            self.elements += int((first != second).sum())
            return
        self.numbers = True
        if np.isnan(second).any():
            self.nan = f"{int(np.isnan(second).sum()):,} of {second.size:,} numbers of an output are nan"
        self.differences[number] = max(self.differences[number], limits.largest_difference(first, second))
        self.scales[number] = max(self.scales[number], limits.scale(first))
        for key, part in zip(keys, parts_of(second, call) or ()):
            self.spreads[number].add(key, part)
        if first.shape[:1] != (call.images,):
            return
        if is_embeddings(first, self.embeds):
            self.embeddings.setdefault(number, Embeddings(limits.ENGINE)).add(keys, first, second)
        elif limits.is_scores(first):
            self.rows += [(number, *pair) for pair in zip(first, second)]

    def limit(self, number):
        """The difference that is allowed in an output: within half of what different images differ by, a wrong one
        would agree, too."""
        tolerance = limits.ENGINE * max(1.0, self.scales[number])
        spread = self.spreads[number].largest
        return min(tolerance, spread / 2) if spread else tolerance

    @property
    def worst(self):
        """The output whose difference is the largest share of what is allowed."""
        return max(range(len(self.differences)), key=lambda number: self.differences[number] / self.limit(number))

    @property
    def tops(self):
        """The number of images with another top-5."""
        return sum(not limits.same_top(a, b, self.limit(number)) for number, a, b in self.rows)


def _result(engine, comparison):
    worst, pairs, vectors = comparison.worst, comparison.pairs, list(comparison.embeddings.values())
    difference, limit = comparison.differences[worst], comparison.limit(worst)
    largest = max(difference, pairs.largest)
    result = Result(engine.name, words="", largest=largest, images=len(comparison.keys))
    result.more = {
        "allowed": limit,
        "bitwise_equal": sum(comparison.equal.values()),
        "top_mismatches": comparison.tops,
        "integers": {"different": comparison.elements, "compared": comparison.total},
        "boxes": {"compared": pairs.boxes, "unmatched": pairs.unmatched, "ties": pairs.ties},
        "batch": comparison.batch,
        "files": engine.files,
    }
    if vectors:
        result.more["embeddings"] = vectors[0].as_dict()
    result.words = _words(engine, comparison, difference, limit)
    reasons = (
        f"infer loaded {engine.files[0]}, whose weights are not the exported model's" if engine.is_other_model else "",
        comparison.shapes,
        constant_words(comparison.spreads),
        f"the largest difference is {difference:.3g}, of at most {limit:.3g}" if difference > limit else "",
        f"{comparison.tops} images have another top-{limits.TOP}" if comparison.tops else "",
        *(one.fault for one in vectors),
        _too_many(comparison),
        f"{pairs.unmatched} boxes without a partner" if pairs.unmatched else "",
        comparison.nan,
        comparison.mixed,
    )
    result.why = next(filter(None, reasons), "")
    if result.why:
        result.result = DISAGREES
    elif comparison.has_boxes and not pairs.boxes and not comparison.numbers:
        return not_compared(engine.name, "no image has a box")
    return result


def _too_many(comparison):
    if comparison.elements <= limits.ELEMENTS * comparison.total:
        return ""
    return f"{comparison.elements:,} of {comparison.total:,} elements of an integer output differ"


def _words(engine, comparison, difference, limit):
    count = len(comparison.keys)
    images = f"{count} {'image' if count == 1 else 'images'}"
    parts = []
    if comparison.numbers:
        parts.append(f"largest difference {difference:.3g} (at most {limit:.3g} allowed)")
    if comparison.has_boxes:
        parts.append(f"largest difference {comparison.pairs.largest:.3g} of boxes (at most {limits.ENGINE:g} allowed)")
        parts.append(comparison.pairs.words)
    if comparison.total:
        parts.append(f"{comparison.elements:,} of {comparison.total:,} elements of integer outputs differ")
    parts += [one.words for one in comparison.embeddings.values()]
    top = f" with the same top-{limits.TOP}" if comparison.rows and not comparison.tops else ""
    parts.append(f"{images}{top}")
    if engine.is_elsewhere and not engine.is_other_model:
        parts.append(f"infer loaded {engine.files[0]}, which is not in the model's folder")
    return ", ".join(parts)
