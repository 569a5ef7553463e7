"""Which IR pass is it? Paddle runs a list of them, and `config.delete_pass(name)` leaves one out.

The list is bisected: with its first k passes the outputs agree with strict mode, and with one more they do not.
"""

from convert_onnx import operators_of
from diagnosis.engines.cases import Found
from diagnosis.engines.worker import EngineError

MOST_CULPRITS = 4  # passes that are each enough to make a difference
PLACEMENTS = ("onednn_placement_pass", "mkldnn_placement_pass")  # it hands operators to oneDNN, and changes no network


class Bisection:
    """The passes of a list after which outputs leave the tolerance; `differs(kept names)` tells that they do.

    `first` is the last one of the shortest prefix that was found, "" where it differs without any of them; `partner` an
    earlier one that it needs, where it does nothing alone; `is_explained`: these alone make the difference.
    """

    def __init__(self, names, differs):
        self.names, self.differs = list(names), differs
        self.first, self.partner, self.is_explained = "", "", False
        if self.differs([]):
            return
        self.first = self._end_of_prefix(self.names, [])
        before = self.names[: self.names.index(self.first)]
        self.is_explained = self.differs([self.first])
        if not self.is_explained and before:
            self.partner = self._end_of_prefix(before, [self.first])
            self.is_explained = self.differs([self.partner, self.first])

    def _end_of_prefix(self, names, behind):
        """The last name of the shortest prefix of `names` that differs together with `behind`; all of them do."""
        low, high = 0, len(names)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.differs([*names[:middle], *behind]) else (middle, high)
        return names[high - 1]


def explain_ir(engines, case, settings):
    """`Found` for IR passes whose outputs differ, None where no pass can be named."""
    names = _ran(engines, case, settings)
    if settings.memory and not engines.fault_of(case, settings.but(memory=False)):
        why = "IR passes and memory optimisation together change the outputs, either alone does not"
        return Found("memory_optimisation", why, "leave `config.enable_memory_optim()` out of the inference script", {})
    bisection, culprits = _culprits(names, _passes(engines, case, settings, names))
    return _named(bisection, culprits) if culprits else None


def explain_onednn(engines, case, settings):
    """The same of oneDNN: its own passes, behind which those of the stage before stay, and else its kernels."""
    known = _ran(engines, case, settings.but(onednn=False))
    names = [name for name in _ran(engines, case, settings) if name not in known]
    # what hands operators to oneDNN comes first: without it, the other passes have nothing to do
    names.sort(key=lambda name: name not in PLACEMENTS)
    differs = _passes(engines, case, settings, names)
    bisection, culprits = _culprits(names, differs)
    if culprits and culprits[0] not in PLACEMENTS:
        return _named(bisection, culprits)
    rest = [name for name in culprits if name not in PLACEMENTS]
    is_cured = rest and not differs([name for name in names if name not in rest])
    return _kernels(engines, case, settings) or (_named(None, rest) if is_cured else None)


def _passes(engines, case, settings, names):
    """`differs(kept)`: whether the outputs differ with these of the passes `names` only."""

    def differs(kept):
        engines.subject.progress(f"passes: with {len(kept)} of {len(names)}")
        deleted = (name for name in names if name not in kept)
        return bool(engines.fault_of(case, settings.but(deleted=(*settings.deleted, *deleted))))

    return differs


def _culprits(names, differs):
    """(the `Bisection` of the first one, the names that have to go until nothing differs), ([] where none is one)."""
    first, culprits, others = None, [], list(names)
    while others and len(culprits) < MOST_CULPRITS:
        tried = Bisection(others, differs)
        first = first or tried
        if not tried.first:
            break
        culprits.append(tried.first)
        others.remove(tried.first)
        if not differs(others):
            break
    return first, culprits


def _named(bisection, culprits):
    """`Found` for passes that each make a difference; `bisection` is that of the first one, where it is known."""
    advice = " and ".join(f'`config.delete_pass("{name}")`' for name in culprits)
    advice, more = f"call {advice} in the inference script", {"passes": culprits}
    if len(culprits) > 1 or bisection is None:
        noun = "passes" if len(culprits) > 1 else "pass"
        each = "each change" if len(culprits) > 1 else "changes"
        return Found("ir_pass", f"the {noun} {' and '.join(culprits)} {each} the outputs", advice, more)
    name, partner = bisection.first, bisection.partner
    if not bisection.is_explained:
        return Found("ir_pass", f"the pass {name}, with the passes before it, changes the outputs", advice, more)
    if partner and partner not in PLACEMENTS:
        why = f"the passes {partner} and {name} together change the outputs, either alone does not"
        return Found("ir_pass", why, advice, {"passes": [partner, name]})
    return Found("ir_pass", f"the pass {name} changes the outputs", advice, more)


def _kernels(engines, case, settings):
    """`Found` for operators that oneDNN computes in another way, with none of its fusions; None where none is one."""
    kinds = sorted(operators_of(engines.subject.exported.structure))

    def differs(kept):
        engines.subject.progress(f"oneDNN: {len(kept)} of {len(kinds)} kinds of operators")
        # no name at all would be all of them
        return bool(engines.fault_of(case, settings.but(operators=tuple(kept) or ("feed",))))

    _, culprits = _culprits(kinds, differs)
    if not culprits:
        return None
    rest = ", ".join(f'"{kind}"' for kind in kinds if kind not in culprits)
    advice = f"call `config.set_mkldnn_op({{{rest}}})` in the inference script, or `config.disable_mkldnn()`"
    noun = "kernel of the operator" if len(culprits) == 1 else "kernels of the operators"
    why = f"oneDNN's {noun} {' and '.join(culprits)} compute{'s' if len(culprits) == 1 else ''} other numbers"
    return Found("onednn_operator", why, advice, {"operators": culprits})


def _ran(engines, case, settings):
    """The passes that run with these settings, each once; those up to a crash."""
    try:
        return engines.worker.run(settings, case.samples).passes
    except EngineError as error:
        return error.passes
