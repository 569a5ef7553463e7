"""The stages behind the network in strict mode: each engine of Paddle Inference, switched on one after the other.

    with Engines(subject) as engines:
        for check in engines.checks:
            stage = check()

The order is that of Paddle: memory optimisation, IR passes, oneDNN; then the engines that take the whole network.
Settings that an inference command used can be blamed where its recorded outputs are out of tolerance; others are
tried, and only told. Without a recorded inference all are judged.
"""

import contextlib
from functools import cached_property

from diagnosis.engines import onnx_runtime, passes, running
from diagnosis.engines.cases import Found, cases_of
from diagnosis.engines.settings import STRICT
from diagnosis.engines.worker import LIMIT, EngineError, Worker
from diagnosis.stage import DIFFERS, SAME, differs, not_compared
from script import counted

ADVICE = {
    "memory": "leave `config.enable_memory_optim()` out of the inference script",
    "ir": "call `config.switch_ir_optim(False)` in the inference script",
    "onednn": "call `config.disable_mkldnn()` in the inference script",
    "openvino": "leave `config.enable_openvino_engine()` out of the inference script",
    "tensorrt": "leave `config.enable_tensorrt_engine()` out of the inference script",
    "onnx": "run the exported model with Paddle Inference, or convert it with another opset",
}
CAUSES = {"memory": "memory_optimisation", "ir": "ir_passes", "onnx": "onnxruntime"}
TITLES = {"memory": "memory optimisation", "ir": "IR passes", "onednn": "oneDNN", "openvino": "OpenVINO",
          "onnx": "ONNX Runtime", "tensorrt": "TensorRT"}  # fmt: skip


class Engines:
    """The checks of one `Subject`; they share a `Worker` of the time limit `limit` (seconds a run)."""

    def __init__(self, subject, limit=LIMIT):
        self.subject = subject
        self.worker = Worker(subject.exported, limit)
        self.blamed = []  # names of the stages that differ

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the child process."""
        self.worker.close()

    @property
    def checks(self):
        """The checks, each of which returns a `Stage`, in their order."""
        return [self.check_memory, self.check_passes, self.check_onednn, self.check_openvino, self.check_onnxruntime,
                self.check_tensorrt, self.check_precision, self.check_batch, self.check_inferred]  # fmt: skip

    @cached_property
    def cases(self):
        """The `Case`s, with the IR passes that their script had left out."""
        found = cases_of(self.subject)
        for case in found:
            if case.noted:
                case.settings = case.settings.but(deleted=self._left_out(case))
        return found

    # ---------------------------------------------------------------------------------------------------- the stages

    def check_memory(self):
        return self._check("memory")

    def check_passes(self):
        return self._check("ir", passes.explain_ir)

    def check_onednn(self):
        return self._check("onednn", passes.explain_onednn)

    def check_openvino(self):
        return self._check("openvino", missing=running.why_no_openvino(self.subject.exported))

    def check_tensorrt(self):
        return self._check("tensorrt", missing=running.why_no_tensorrt())

    def check_onnxruntime(self):
        """The model converted by Paddle2ONNX, in ONNX Runtime: no setting of a Config, and thus judged only without a
        recorded inference."""
        missing = onnx_runtime.why_not()
        if missing or not self.cases:
            return self._check("onnx", missing=missing)
        self.subject.progress("ONNX Runtime: converting the model")
        try:
            path = onnx_runtime.convert(self.subject.exported, self.worker.folder, self.worker.limit)
        except EngineError as error:
            return not_compared(TITLES["onnx"], str(error))
        return self._check("onnx", onnx=path)

    def check_precision(self):
        return running.check_precision(self)

    def check_batch(self):
        return running.check_batch(self)

    def check_inferred(self):
        return running.check_inferred(self)

    # ------------------------------------------------------------------------------------------------------- helpers

    def users(self, switch):
        """The cases that may be blamed for a setting."""
        return [case for case in self.cases if case.is_judged and case.uses(switch)]

    def up_to(self, switch, own):
        """The `Settings` of a stage: what comes before it, as far as `own` has it, and its own switch."""
        if switch == "memory":
            return STRICT.but(memory=True)
        memory = own.memory and self._has_memory_optimisation
        settings = STRICT.but(memory=memory, ir=own.ir or switch == "ir", deleted=own.deleted)
        return settings if switch == "ir" else settings.but(**{switch: True})

    def run(self, settings, case):
        """The outputs of a case's samples; EngineError where there are none."""
        return self.worker.run(settings, case.samples)

    def fault_of(self, case, settings):
        """What is wrong with the outputs, or that there are none; "" where they agree with strict mode."""
        try:
            return case.compare(self.run(settings, case).outputs).fault
        except EngineError as error:
            return str(error)

    @cached_property
    def _has_memory_optimisation(self):
        """Paddle 3 has none for .json models, and cannot load them with it."""
        try:
            self.run(STRICT.but(memory=True), self.cases[0])
        except EngineError as error:
            return error.cause != "refused"
        return True

    def _left_out(self, case):
        """The passes that the script deleted, by name or from the list that Paddle shows."""
        listed = case.noted.get("passes")
        deleted = list(map(str, case.noted.get("deleted") or ()))
        if listed is not None:
            with contextlib.suppress(EngineError):  # an engine that is not here
                deleted += [name for name in self.worker.listed(case.settings) if name not in listed]
        return tuple(dict.fromkeys(deleted))

    def _check(self, switch, explain=None, missing="", onnx=""):
        """The stage of one switch."""
        name = TITLES[switch]
        if not self.cases:
            return not_compared(name, "no arrays of the model's inputs were kept")
        if missing:
            return not_compared(name, missing)
        self.subject.progress(f"{name}: {counted(sum(sum(case.images) for case in self.cases), 'image')}")
        users = [case for case in self.cases if case.uses(switch)]
        result = None
        for case in users or self.cases[:1]:
            is_blamed = case.is_judged and bool(users)
            settings = STRICT.but(onnx=onnx) if onnx else self.up_to(switch, case.settings)
            stage = self._compare(name, switch, case, settings, explain if is_blamed else None)
            if stage.result == DIFFERS and is_blamed:
                self.blamed.append(name)
                return stage
            result = stage if result is None or stage.result != SAME else result
        return self._only_told(result, bool(users))

    def _compare(self, name, switch, case, settings, explain):
        try:
            difference = case.compare(self.run(settings, case).outputs)
        except RuntimeError as error:
            return not_compared(name, f"strict mode cannot take the inputs: {error}")
        except EngineError as error:
            if error.cause == "refused":
                return not_compared(name, f"it cannot run the model: {error}")
            found = explain and error.cause == "crash" and explain(self, case, settings)
            if found:
                return differs(name, found.cause, f"{error}: {found.why}", found.advice, more=found.more)
            return differs(name, error.cause, str(error), ADVICE[switch])
        if not difference.fault:
            return case.stage(name, difference)
        found = explain and explain(self, case, settings)
        why = f"{name} computes other numbers than strict mode"
        if difference.shapes:
            why = f"with {name} {difference.shapes}"
        return case.blamed(name, difference, found or Found(CAUSES.get(switch, switch), why, ADVICE[switch], {}))

    def _only_told(self, stage, is_used):
        """The stage of a setting that nothing is blamed for."""
        why = "the recorded outputs of infer agree" if is_used else "not used by infer"
        if stage.result != DIFFERS:
            stage.words += "" if is_used or stage.result != SAME else f", {why}"
            return stage
        by = "" if stage.largest is None else f" by {stage.largest:.3g}"
        fault = f"it would differ{by}" if stage.cause not in ("crash", "timeout") else f"with it {stage.why}"
        told = not_compared(stage.name, f"{why}; {fault}")
        told.largest, told.allowed = stage.largest, stage.allowed
        told.more = {**stage.more, "would_differ": True}
        return told
