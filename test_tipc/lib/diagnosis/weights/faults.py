"""What explains that the tensors of an exported model are not those of the checkpoint?"""

from agreement.fitting import weights_of
from diagnosis.stage import Stage, differs
from diagnosis.weights.likeness import ALONE, CAST, EQUAL, OTHER, OTHER_SHAPE, Nearness, is_constant, keys_of
from diagnosis.weights.pairing import Pair, holds_all, is_statistic, pair_up
from script import counted

_LIKE = 0.1  # cosine of two trainings' weights of one initialisation; chance gives 0
_FEW, _SHARE = 3, 0.05  # tensors that somebody changed one by one: so many, or this share of them
_NAMED = 3  # tensors that a line names


def all_initial(tensors):
    """Whether every batch norm of an export has the statistics of a new one; False where there is none."""
    return _is_initial([Pair(one, None, False, Nearness(ALONE)) for one in tensors])


def _is_initial(pairs):
    statistics = [pair for pair in pairs if pair.statistic]
    values = {"mean": 0, "variance": 1}
    return bool(statistics) and all((one.tensor.array == values[one.statistic]).all() for one in statistics)


class Comparison:
    """The exported `tensors` and the `checkpoint` in `file`; `networks` are the recorded ones that used it."""

    def __init__(self, tensors, checkpoint, file, networks):
        self.tensors, self.checkpoint, self.file = tensors, checkpoint, file
        self.used = self._used_by(networks)
        self.pairs = pair_up(tensors, checkpoint, self.used)
        self.rest = [pair for pair in self.pairs if pair.near.state != EQUAL]
        self.other = [pair for pair in self.rest if pair.name is not None]

    def _used_by(self, networks):
        """The names of the checkpoint's tensors that the recorded networks have."""
        held = {weight for network in networks for weight in weights_of(network)}
        names = [name for name, array in self.checkpoint.arrays.items() if not held.isdisjoint(keys_of(array))]
        return names if len(names) >= len(self.tensors) / 2 else []  # a few constants are in any network

    def stage(self, name, others):
        """The `Stage`; `others()` yields (path, Checkpoint) of files that may hold the exported tensors."""
        total = len(self.tensors)
        if holds_all(self.tensors, self.checkpoint):
            return Stage(name, words=f"all {counted(total, 'tensor')} equal those of {self.file.name}", largest=0.0)
        if not self.other:
            equal = total - len(self.rest)
            words = f"{equal} of {counted(total, 'tensor')} equal those of {self.file.name}, the others are constants"
            return Stage(name, words=f"{words} of the export or made of several", largest=0.0)
        if self._is_rewritten:
            return Stage(name, words=f"the export rewrote {len(self.rest)} of {total} tensors of {self.file.name}")
        cause, why, advice = self._fault(others)
        return differs(
            name, cause, why, advice, words=f"{len(self.other)} of {counted(total, 'tensor')}", largest=self._largest,
            more={"tensors": [_figures(pair) for pair in self.other[:100]]},
        )  # fmt: skip

    @property
    def _largest(self):
        found = [pair.near.largest for pair in self.other if pair.near.largest is not None]
        return max(found, default=None)

    @property
    def _is_rewritten(self):
        """Whether tensors of the network are not in the export although others took their place: merged ones. Parts of
        the network that serve training alone are no reason, where the export still has its batch norms."""
        needed = self.used or list(self.checkpoint.arrays)
        left = set(needed) - {pair.name for pair in self.pairs}
        if not left:
            return False
        is_whole = all(pair.is_named for pair in self.other)
        has_statistics = any(pair.statistic for pair in self.pairs) or not any(map(is_statistic, left))
        return not (is_whole and has_statistics)

    def _fault(self, others):
        """(cause, why, advice)"""
        if all(pair.near.state == CAST for pair in self.other):
            return self._precision()
        path = self._file_of_them(others)
        if path:
            return "other_epoch", f"they are those of {path}", f"export {self.file.name} again, not {path}"
        is_some_equal = any(pair.near.state == EQUAL and not is_constant(pair.tensor.array) for pair in self.pairs)
        is_new, is_alike = _is_initial(self.pairs), self._is_alike
        if not is_some_equal and (is_new or not is_alike):
            return self._unloaded(is_new)
        if not is_alike or is_new:
            return self._partly_unloaded(is_new)
        if is_some_equal and len(self.other) <= max(_FEW, _SHARE * len(self.tensors)):
            return self._changed()
        return (
            "other_epoch",
            f"they are like those of {self.file.name}, but others: of another epoch or training, in no weights file "
            "near it",
            f"export {self.file.name} again",
        )

    def _precision(self):
        types = sorted({pair.tensor.dtype for pair in self.other})
        if types == ["float32"]:
            words = "rounded to half precision and stored in float32"
        else:
            words = f"stored in {' and '.join(types)}"
        why = f"they are those of {self.file.name}, {words}"
        return "precision", why, "export in float32, and leave the precision to the engine"

    def _file_of_them(self, others):
        """The name of the file beside the checkpoint that holds all exported tensors of the network; "" if none."""
        wanted = [pair.tensor for pair in self.pairs if pair.name is not None]
        for path, checkpoint in others():
            if holds_all(wanted, checkpoint):
                same = path.parent == self.file.parent
                return path.name if same else f"{path.parent.name}/{path.name}"
        return ""

    @property
    def _is_alike(self):
        """Whether the tensors that differ have about the direction of their partners: those of two or more sides,
        which chance never gives."""
        known = [pair for pair in self.other if pair.near.state in (OTHER, CAST) and pair.tensor.array.size]
        known = [pair for pair in known if pair.tensor.array.ndim > 1] or [pair for pair in known if not pair.statistic]
        total = sum(pair.tensor.array.size for pair in known)
        if not total:
            return not any(pair.near.state == OTHER_SHAPE for pair in self.other)
        cosine = sum(pair.near.cosine * pair.tensor.array.size for pair in known) / total
        return cosine > max(_LIKE, min(0.5, 3 / total**0.5))

    def _unloaded(self, is_new):
        signs = ["all running means are 0 and all variances 1"] if is_new else []
        if not self._is_alike:
            signs.append("no tensor is like the checkpoint's")
        why = f"the export holds an initialisation, not {self.file.name}: {' and '.join(signs)}"
        return "unloaded", why, f"load {self.file.name} in the export script before it exports"

    def _partly_unloaded(self, is_new):
        largest_first = sorted(self.other, key=lambda pair: -pair.tensor.array.size)
        names, shapes = [pair.label for pair in largest_first], []
        for pair in largest_first:
            if pair.near.state == OTHER_SHAPE:
                found, expected = list(pair.tensor.array.shape), list(self.checkpoint.arrays[pair.name].shape)
                shapes.append(f"{pair.name} is {expected} in the file and {found} in the export")
        why = f"{_listed(names)} {'is' if len(names) == 1 else 'are'} not loaded from {self.file.name}"
        reasons = [*shapes[:1], *(["running means are 0 and variances 1"] if is_new else []), *self._unknown_keys()]
        why += f" ({'; '.join(reasons)})" if reasons else ""
        advice = (
            f"give the network of the export the names and shapes of {self.file.name}, and check what was not loaded"
        )
        return "partly_unloaded", why, advice

    def _unknown_keys(self):
        """Names that the exported network has and the checkpoint has not."""
        noted = [pair.tensor.noted for pair in self.other if pair.tensor.noted and not pair.is_named]
        pairs = [pair for pair in self.other if pair.tensor.noted in noted]
        return [f"the file has {pair.name}, the export {pair.tensor.noted}" for pair in pairs[:1]]

    def _changed(self):
        worst = max(self.other, key=lambda pair: pair.near.largest or 0.0)
        at, (ours, theirs) = list(worst.near.at), worst.near.values
        why = (
            f"{_listed([pair.label for pair in self.other])} {'was' if len(self.other) == 1 else 'were'} changed: "
            f"largest difference {worst.near.largest:.3g} in {worst.label} at {at}, {ours:.9g} in {self.file.name} and "
            f"{theirs:.9g} in the export"
        )
        return "one_changed", why, f"export {self.file.name} again, and look for what sets {worst.label}"


def _listed(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _figures(pair):
    near = pair.near
    largest = None if near.largest is None or near.largest == float("inf") else near.largest
    return {"name": pair.name, "exported": pair.tensor.name, "state": near.state, "cosine": near.cosine,
            "largest": largest, "at": list(near.at)}  # fmt: skip
