"""Recordings as the observer of the chains makes them, of networks and predictors that run in the test's own process.

Their format is that of test_tipc/lib/agreement/recording.py.
"""

import hashlib
import json

import numpy as np


class Recorder:
    """Writes a recording of process 1 to `folder`; its networks are named `1-0`, `1-1`, …"""

    def __init__(self, folder, kept=1000):
        folder.mkdir(parents=True)
        self.folder, self._kept, self._calls, self._networks = folder, kept, 0, 0
        self.write(event="process", pid=1, argv=["step.py"], paddle="3.1.1", images=32, megabytes=512)

    def write(self, **line):
        """Append one line."""
        with (self.folder / "1.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def network(self, layer, loaded=()):
        """A line about a `paddle.nn.Layer`; returns its name. `loaded` are (path, tensors, found[, trained])."""
        trained = {id(parameter) for parameter in layer.parameters()}
        weights = {
            name: {**_facts(tensor.numpy()), "trained": id(tensor) in trained}
            for name, tensor in layer.state_dict().items()
        }
        keys = ("path", "tensors", "found", "trained")
        files = [dict(zip(keys, (str(path), *counts))) for path, *counts in loaded]
        name = self._name()
        self.write(event="network", network=name, **{"class": type(layer).__name__}, weights=weights, loaded=files)
        return name

    def predictor(self, files):
        """A line about a predictor; returns its name."""
        name = self._name()
        self.write(event="predictor", network=name, files=list(map(str, files)), optimised=True)
        return name

    def call(self, kind, network, inputs, outputs, training=False, place="cpu"):
        """A line about a call, {name: array} twice, and its arrays where they are kept."""
        lengths = {array.shape[0] if array.ndim else None for array in inputs.values()}
        batch = lengths.pop() if len(lengths) == 1 else None
        file = None
        if self._calls < self._kept:
            file = f"1_{self._calls}.npz"
            arrays = {f"in{number}": array for number, array in enumerate(inputs.values())}
            arrays.update({f"out{number}": array for number, array in enumerate(outputs.values())})
            np.savez(self.folder / file, **arrays)
        self.write(
            event="call", number=self._calls, kind=kind, network=network, training=training, place=place, batch=batch,
            inputs=_described(inputs, batch), outputs=_described(outputs, batch), file=file,
        )  # fmt: skip
        self._calls += 1

    def _name(self):
        self._networks += 1
        return f"1-{self._networks - 1}"


def _described(arrays, batch):
    return [{"name": name, **_facts(array), "rows": _rows(array, batch)} for name, array in arrays.items()]


def _facts(array):
    return {"shape": list(array.shape), "dtype": str(array.dtype), "hash": _hash(array)}


def _rows(array, batch):
    if batch is None or not array.ndim or array.shape[0] != batch:
        return None
    return [_hash(row) for row in array]


def _hash(array):
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def run_layer(layer, inputs):
    """{name: array} of a layer's outputs for {name: array}, by keyword."""
    import paddle

    with paddle.no_grad():
        outputs = layer(**{name: paddle.to_tensor(array) for name, array in inputs.items()})
    if isinstance(outputs, dict):
        return {name: tensor.numpy() for name, tensor in outputs.items()}
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {str(number): tensor.numpy() for number, tensor in enumerate(outputs)}


class Deployed:
    """An exported model with an optimised predictor, as an inference script makes it."""

    def __init__(self, structure):
        from paddle import inference

        self.files = [structure, structure.with_suffix(".pdiparams")]
        config = inference.Config(*map(str, self.files))
        config.disable_glog_info()
        config.disable_gpu()
        if hasattr(config, "disable_mkldnn"):
            config.disable_mkldnn()
        self._predictor = inference.create_predictor(config)
        self.inputs = self._predictor.get_input_names()

    def run(self, *arrays):
        """({name: array} of the inputs, {name: array} of the outputs)."""
        inputs = dict(zip(self.inputs, arrays))
        for name, array in inputs.items():
            self._predictor.get_input_handle(name).copy_from_cpu(array)
        self._predictor.run()
        names = self._predictor.get_output_names()
        return inputs, {name: self._predictor.get_output_handle(name).copy_to_cpu() for name in names}


def export(layer, prefix, *specs):
    """Export a layer, which cannot be used any more, as deployed scripts do; returns the path of its structure.

    `specs` are (shape, type, name) of its inputs.
    """
    import paddle

    specs = [paddle.static.InputSpec(list(shape), dtype, name) for shape, dtype, name in specs]
    paddle.jit.save(paddle.jit.to_static(layer, input_spec=specs), str(prefix))
    return next(path for path in (prefix.with_suffix(".json"), prefix.with_suffix(".pdmodel")) if path.is_file())
