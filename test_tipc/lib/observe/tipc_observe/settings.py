"""What a script has set in a paddle.inference.Config, as far as it can change the numbers that are computed."""

import functools
import re

from .store import Known

_ROW = re.compile(r"^\| (\w+) +\| (\S+) +\|$", re.MULTILINE)
_PRECISIONS = {"fp32": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16"}


class Settings:
    """Reads Configs; the passes that were deleted from one are seen as that happens, since Paddle 3 does not tell."""

    def __init__(self, core, store):
        self.core, self.store, self.deleted = core, store, Known()

    def put_in(self):
        """Observe `Config.delete_pass`."""
        delete = self.core.AnalysisConfig.delete_pass

        @functools.wraps(delete)
        def delete_and_note(config, name, *args, **kwargs):
            result = delete(config, name, *args, **kwargs)
            self.store.attempt(self._note, config, name)
            return result

        self.core.AnalysisConfig.delete_pass = delete_and_note

    def _note(self, config, name):
        self.deleted.put(config, [*(self.deleted.get(config) or ()), str(name)])

    def read(self, config):
        """The settings for the line about a predictor: switches, `threads`, `precision`, `passes`, the names that
        Paddle lists, and `deleted`, those that are left out of them."""
        rows = dict(_ROW.findall(config.summary()))
        passes = list(map(str, config.pass_builder().all_passes()))
        asked = {
            "ir_optim": "ir_optim", "onednn": "mkldnn_enabled", "openvino": "openvino_engine_enabled",
            "onnxruntime": "onnxruntime_enabled", "tensorrt": "tensorrt_engine_enabled", "new_ir": "new_ir_enabled",
            "gpu": "use_gpu",
        }  # fmt: skip
        said = {key: bool(getattr(config, name, bool)()) for key, name in asked.items()}
        return {
            **said,
            "memory_optim": rows.get("memory_optim") == "true",
            "threads": int(config.cpu_math_library_num_threads()),
            "precision": self._precision(config, said, rows, passes),
            "passes": passes,
            "deleted": self.deleted.get(config) or [],
        }

    def _precision(self, config, said, rows, passes):
        if said["tensorrt"]:
            word = str(config.tensorrt_precision_mode()).rpartition(".")[2].lower()
        elif said["openvino"]:
            word = rows.get("openvino_inference_precision", "float32").lower()
        elif said["onednn"] and bool(getattr(config, "mkldnn_int8_enabled", bool)()):
            word = "int8"
        else:
            word = "bfloat16" if said["onednn"] and "cpu_bfloat16_pass" in passes else "float32"
        return _PRECISIONS.get(word, word)
