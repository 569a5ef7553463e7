"""The first check: are the inputs of the network for the same image the same in predict and infer?"""

from typing import NamedTuple

from agreement import limits
from agreement.fitting import fit
from agreement.pixels import is_blank, is_close, nearest, why_different
from agreement.result import DISAGREES, Result, not_compared
from agreement.rows import keys_of, row_of

NAME = "preprocessing"
_PAIRS = 3  # as many pairs in one order are no chance
_LAYER, _ANY = ("layer",), ("layer", "predictor", "translated", "program")


class Place(NamedTuple):
    """An image of a recording: a call, the order of the model's inputs, and its number in the batch."""

    call: object
    order: tuple
    row: int


class Images:
    """The different images of a step: {key: Place}, one whose arrays were kept wherever there is one."""

    def __init__(self, calls):
        self.places = {}
        self._arrays = {}
        for call, order in calls:
            for row, key in enumerate(keys_of(call, order)):
                known = self.places.get(key)
                if known is None or (known.call.file is None and call.file is not None):
                    self.places[key] = Place(call, order, row)

    @property
    def kept(self):
        """The keys whose arrays were kept."""
        return [key for key, place in self.places.items() if place.call.file]

    def arrays(self, key):
        """The model's inputs of a kept image."""
        if key not in self._arrays:
            call, order, _ = self.places[key]
            whole = call.arrays("in", order)
            for row, other in enumerate(keys_of(call, order)):
                self._arrays[other] = [
                    row_of(array, call.inputs[position], row) for array, position in zip(whole, order)
                ]
        return self._arrays[key]


class Pairing:
    """The images of predict, each with its partner in infer: `equal` {key: key}, `near` {key: (key, difference)} and
    those `without` one; `unseen` images of infer have no arrays any more, and may be partners."""

    def __init__(self, predicted, inferred):
        self.predicted, self.inferred = predicted, inferred
        self.equal = {key: key for key in predicted.places if key in inferred.places}
        rest = [key for key in predicted.places if key not in self.equal]
        self.others = [key for key in inferred.kept if key not in self.equal]
        self.unseen = len(inferred.places) - len(inferred.kept)
        self.near, self.without, self.not_kept = {}, [], 0
        for key in rest:
            if not predicted.places[key].call.file:
                self.not_kept += 1
                continue
            partner = self._nearest(key)
            if partner is None or not self._is_close(key, partner):
                self.without.append(key)
            else:
                self.near[key] = (partner, self._difference(key, partner))
        self.excused = 0
        if self.near and len(self.without) <= self.unseen:  # rounding changes hashes: their partners may be among them
            certain = self._certainly_without()
            self.excused, self.without = len(self.without) - len(certain), certain
        blank = [key for key in self.without if is_blank(self.predicted.arrays(key)[self.main(key)])]
        self.alone = 0
        if (self.equal or self.near) and blank:  # they fill a batch up, or warm the network up
            self.alone, self.without = len(blank), [key for key in self.without if key not in blank]
        matched = self.equal.keys() | {partner for partner, _ in self.near.values()}
        if matched and matched >= inferred.places.keys():  # infer was given fewer images, and has a partner for each
            self.alone, self.without = self.alone + len(self.without), []

    def _certainly_without(self):
        """Those without a partner although the arrays of the image at its place of the list were kept: both steps take
        the list in one order, as the pairs show, perhaps behind images that warm the engine up."""
        lists = list(self.predicted.places), list(self.inferred.places)
        own, others = ({key: place for place, key in enumerate(keys)} for keys in lists)
        shifts = [others[self.partner(key)] - own[key] for key in (*self.equal, *self.near)]
        if len(shifts) < _PAIRS or len(set(shifts)) > 1:
            return []
        places = [(key, own[key] + shifts[0]) for key in self.without]
        kept = set(self.inferred.kept)
        return [key for key, place in places if 0 <= place < len(lists[1]) and lists[1][place] in kept]

    def partner(self, key):
        """The key in infer of an image of predict, or None."""
        return key if key in self.equal else self.near.get(key, (None,))[0]

    def main(self, key):
        """The number of the input that is the image: that with the most sides, then with the most numbers."""
        arrays = self.predicted.arrays(key)
        return max(range(len(arrays)), key=lambda number: (arrays[number].ndim, arrays[number].size))

    def _nearest(self, key):
        main = self.main(key)
        others = [self.inferred.arrays(other)[main] for other in self.others]
        number = nearest(self.predicted.arrays(key)[main], others)
        return None if number is None else self.others[number]

    def _is_close(self, key, other):
        pairs = zip(self.predicted.arrays(key), self.inferred.arrays(other))
        return all(a.shape == b.shape and a.dtype == b.dtype and is_close(a, b) for a, b in pairs)

    def _difference(self, key, other):
        """The largest difference of all inputs; None where shapes or types differ."""
        pairs = list(zip(self.predicted.arrays(key), self.inferred.arrays(other)))
        if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
            return None
        return max(limits.largest_difference(a, b) for a, b in pairs)

    @property
    def largest(self):
        """The largest difference of the pairs, also of those that are too far from each other."""
        far = []
        for key in self.without:
            other = self._nearest(key)
            far.append(None if other is None else self._difference(key, other))
        found = [difference for _, difference in self.near.values()] + [one for one in far if one is not None]
        return max(found, default=None if self.without else 0.0)

    @property
    def why(self):
        """What explains the first image without a partner; "" where there is none."""
        if not self.without:
            return ""
        key = self.without[0]
        arrays, main = self.predicted.arrays(key), self.main(key)
        others = [self.inferred.arrays(other) for other in self.others]
        if not others:
            return "infer computed none of these images, or their arrays were not kept"
        partner = self._nearest(key)
        if partner is not None and is_close(arrays[main], self.inferred.arrays(partner)[main]):
            return f"the image is the same, and its {self._other_input(key, partner)} is not"
        return why_different(arrays[main], [other[main] for other in others])

    def _other_input(self, key, partner):
        """The name of the first input, not the image, that differs."""
        call, order, _ = self.predicted.places[key]
        for at, own, other in zip(order, self.predicted.arrays(key), self.inferred.arrays(partner)):
            if own.shape != other.shape or not is_close(own, other):
                return call.inputs[at].name
        return "type"


def check_preprocessing(exported, predicted, engines):
    """(the `Result`, {name of an engine: Pairing}) of predict's recording against those of the `Engine`s of infer."""
    if predicted is None or not predicted.calls:
        lost = f": {predicted.lost}" if predicted is not None and predicted.lost else ""
        return not_compared(NAME, f"nothing was observed of predict{lost}"), {}
    fittings = fit(predicted, exported, _LAYER) or fit(predicted, exported, _ANY)
    if not fittings:
        return not_compared(NAME, "no network of predict has the inputs of the exported model"), {}
    own = Images((call, orders[0]) for call, orders in zip(fittings[0].calls, fittings[0].orders))
    pairings = {}
    for engine in engines:
        if engine.calls:
            pairings[engine.name] = min(
                (Pairing(images, Images(engine.calls)) for images in _in_all_orders(fittings[0], own)),
                key=lambda pairing: len(pairing.without),
            )
    if not pairings:
        return not_compared(NAME, "nothing was observed of infer that has the inputs of the exported model"), {}
    return _result(own, pairings), pairings


def _in_all_orders(fitting, first):
    """The images with each order of inputs of one kind: which is which is told by their values."""
    yield first
    pairs = list(zip(fitting.calls, fitting.orders))
    for number in range(1, max(map(len, fitting.orders))):
        yield Images((call, orders[min(number, len(orders) - 1)]) for call, orders in pairs)


def _result(own, pairings):
    name, worst = max(pairings.items(), key=lambda pair: (len(pair[1].without), len(pair[1].near)))
    total = len(own.places)
    equal, near = len(worst.equal), len(worst.near)
    result = Result(NAME, images=equal + near + len(worst.without), largest=worst.largest)
    result.more = {"bitwise_equal": equal, "near": near, "without_partner": len(worst.without)}
    words = f"bitwise equal for {equal} of {total} image{'' if total == 1 else 's'}"
    if near:
        most = max(difference for _, difference in worst.near.values())
        words += f", largest difference {most:.3g} for {near} (at most {limits.INPUTS:g} of the scale allowed)"
    hidden = worst.not_kept + worst.excused
    words += f", the arrays of {hidden} were not kept" if hidden else ""
    words += f", {worst.alone} of predict not given to infer" if worst.alone else ""
    result.words = words
    if worst.without:
        where = f" ({name})" if len(pairings) > 1 else ""
        far = "" if result.largest is None else f", largest difference {result.largest:.3g}"
        count = len(worst.without)
        result.result = DISAGREES
        result.why = f"{count} {'has' if count == 1 else 'have'} no equal in infer{where}{far}: {worst.why}"
    elif not equal and not near:
        return not_compared(NAME, "the arrays of no image of predict were kept")
    return result
