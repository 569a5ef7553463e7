"""A small network in ONNX's format, and images for it."""

import numpy as np
import pytest

from tests.helpers.configs import random_weights, save_arrays


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    """Weights of the plain network of the test config."""
    path = tmp_path_factory.mktemp("plain") / "plain.pdparams"
    return save_arrays(random_weights(), path)


@pytest.fixture(scope="session")
def onnx():
    for name in ("onnxruntime", "paddle2onnx"):
        pytest.importorskip(name, reason=f"no {name}: pip install -r requirements-engines.txt")
    return pytest.importorskip("onnx")


@pytest.fixture(scope="session")
def build(onnx):
    """`build(seed)`: the bytes of two convolutions and a classifier of 5 classes, for images [N, 3, 16, 16]."""
    from onnx import TensorProto, helper, numpy_helper

    def make(seed=0):
        rng = np.random.default_rng(seed)
        shapes = {"w1": (32, 3, 3, 3), "w2": (64, 32, 3, 3), "w3": (64, 5)}
        arrays = {name: rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])) for name, shape in shapes.items()}
        arrays["w3"] *= 12
        nodes = [
            helper.make_node("Conv", ["x", "w1"], ["c1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("Conv", ["r1", "w2"], ["c2"], kernel_shape=[3, 3], strides=[2, 2]),
            helper.make_node("Relu", ["c2"], ["r2"]),
            helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "w3"], ["l"]),
            helper.make_node("Softmax", ["l"], ["y"], axis=-1),
        ]
        weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])
        graph = helper.make_graph(nodes, "small", [x], [y], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
        return model.SerializeToString()

    return make


@pytest.fixture(scope="session")
def fp32(build):
    return build()


@pytest.fixture(scope="session")
def images():
    """[64, 3, 16, 16] of several contrasts and colours, as normalised images are."""
    rng = np.random.default_rng(1)
    waves = rng.normal(size=(64, 3, 4, 4)).repeat(4, axis=2).repeat(4, axis=3)
    return (waves * rng.uniform(0.5, 1.5, size=(64, 1, 1, 1)) + rng.normal(size=(64, 3, 1, 1))).astype(np.float32)


@pytest.fixture(scope="session")
def int8(fp32, images):
    from ppcls_lite.slim.onnx_int8 import quantise
    from ppcls_lite.slim.settings import Calibration

    return quantise(fp32, images, Calibration())
