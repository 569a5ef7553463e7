"""Run an exported program and keep the output of each of its operators, as a trace (trace.py).

    python test_tipc/lib/diagnosis/network/program.py STRUCTURE INPUTS.npz|- TRACE

Without inputs (-) the operators are listed, with outputs of no numbers.

A process of its own, with test_tipc/lib on its path: Paddle decides at its import which kind of program it runs, and
a program whose intermediate values are fetched may crash. A `.pdmodel` is fetched by the names of its variables, a
`.json` by its values.
Exit code: 0 written, 1 an error.
"""

import functools
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import numpy as np

from observe.tipc_observe.arrays import to_array
from observe.tipc_observe.operators import write_output

FLAG = "FLAGS_enable_pir_api"
_GROUP = 64  # outputs that are fetched at once: all of them would fill the memory
_NO_OPERATORS = ("feed", "fetch", "data", "parameter", "shadow_output")
_HIDDEN = re.compile(r"op_.*|stop_gradient|struct_name|persistable|place|with_quant_attr|col|name_scope|use_cudnn")


def main():
    structure, inputs, trace = map(Path, sys.argv[1:4])
    os.environ[FLAG] = "0" if structure.suffix == ".pdmodel" else "1"
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, _ = paddle.static.load_inference_model(str(structure.with_suffix("")), executor)
    operators = _of_pir(program) if structure.suffix == ".json" else _of_program(program)
    run = _unrun
    if str(inputs) != "-":
        with np.load(inputs, allow_pickle=False) as stored:
            feed = {name: stored[name] for name in feeds}
        run = functools.partial(executor.run, program, feed=feed, return_numpy=False)
    fetched = [(number, place, key) for number, one in enumerate(operators) for place, key in enumerate(one["keys"])]
    with zipfile.ZipFile(trace, "w") as archive:
        for begin in range(0, len(fetched), _GROUP):
            group = fetched[begin : begin + _GROUP]
            values = run(fetch_list=[key for *_, key in group])
            for (number, place, _), value in zip(group, values):
                operators[number]["outputs"][place].update(_keep(archive, f"{number}_{place}.npy", value))
        for one in operators:
            del one["keys"]
        archive.writestr("operators.json", json.dumps(operators))


def _unrun(fetch_list):
    return [np.zeros([0], np.float32)] * len(fetch_list)


def _keep(archive, name, value):
    """Write an output; what could not be fetched is an output of no numbers."""
    try:
        array, dtype = to_array(np.asarray(value))
    except (TypeError, ValueError, RuntimeError):
        array, dtype = np.zeros([0], np.float32), "float32"
    return write_output(archive, name, np.ascontiguousarray(array), dtype)


def _of_program(program):
    """The operators of a `.pdmodel`'s main block: a variable that is written twice belongs to its last writer."""
    block = program.global_block()
    found, writers = [], {}
    for op in block.ops:
        names = [name for name in op.output_arg_names if name and not block.var(name).persistable]
        for name in names:
            writers[name] = len(found)
        found.append((op, names))
    return [
        {
            "type": op.type,
            "attributes": _attributes({name: op.attr(name) for name in op.attr_names}),
            "inputs": [_variable(block, name) for name in op.input_arg_names],
            "outputs": [{"name": name} for name in names if writers[name] == number],
            "keys": [name for name in names if writers[name] == number],
        }
        for number, (op, names) in enumerate(found)
        if op.type not in _NO_OPERATORS
    ]


def _variable(block, name):
    variable = block.var(name)
    return {"name": name, "shape": list(variable.shape), "parameter": bool(variable.persistable)}


def _of_pir(program):
    """The operators of a `.json`: of a value that nobody reads, only the first of an operator is there to fetch."""
    names, read = {}, set()
    block = program.global_block()
    for op in list(block.ops):
        if op.name() == "pd_op.fetch":
            block.remove_op(op)  # an Executor adds none to a program that has some, and crashes
    ops = list(block.ops)
    for op in ops:
        read.update(_key(one.source()) for one in op.operands() if one.source().initialized())
    found = []
    for number, op in enumerate(ops):
        kind = op.name().rpartition(".")[2]
        attributes = op.attrs()
        results = op.results()
        for place, value in enumerate(results):
            if kind == "parameter":
                names[_key(value)] = attributes["parameter_name"]
            elif kind == "data":
                names[_key(value)] = attributes["name"]
            else:
                names[_key(value)] = f"{kind}_{number}.{place}"
        keys = [value for place, value in enumerate(results) if (place == 0 or _key(value) in read)]
        keys = [value for value in keys if value.initialized() and value.is_dense_tensor_type()]
        if kind in _NO_OPERATORS or not keys:
            continue
        sources = [one.source() for one in op.operands() if one.source().initialized()]
        found.append({
            "type": kind,
            "attributes": _attributes({**attributes, **_constants(op)}),
            "inputs": [{"name": names.get(_key(value), ""), "shape": _shape(value), "parameter": _is_parameter(value)}
                       for value in sources],
            "outputs": [{"name": names[_key(value)]} for value in keys],
            "keys": keys,
        })  # fmt: skip
    return found


def _constants(op):
    """{name: value} of an operator's inputs that are constants of the program: a `.pdmodel` has them as attributes."""
    found = {}
    for name, operand in zip(op.get_input_names(), op.operands()):
        maker = operand.source().get_defining_op() if operand.source().initialized() else None
        if maker is not None and maker.name() in ("pd_op.full", "pd_op.full_int_array"):
            found[name] = maker.attrs()["value"]
    return found


def _key(value):
    return value.id if hasattr(value, "id") else hash(value)


def _shape(value):
    return list(value.shape) if value.is_dense_tensor_type() else []


def _is_parameter(value):
    return value.get_defining_op().name() == "builtin.parameter"


def _attributes(given):
    """What a person wants to see of an operator's attributes."""
    return {name: value for name, value in given.items() if not _HIDDEN.fullmatch(name) and _is_plain(value)}


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return len(value) <= 16 and all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))


if __name__ == "__main__":
    main()
