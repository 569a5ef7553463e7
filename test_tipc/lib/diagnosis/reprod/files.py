"""Write what the operators of the network and of the export computed as two files of reprod_log."""

import tempfile
from pathlib import Path

from agreement.rows import model_inputs
from diagnosis.network.check import run_program
from diagnosis.network.operators import Comparison, main_output
from diagnosis.network.trace import Trace
from diagnosis.reprod.arrays import write_reprod
from script import UserError


def write_operators(subject, folder):
    """`reference.npy` and `export.npy` in `folder`: {name of the program's operator: array} of the first traced call.

    The names are the exported program's, with the network's layer in front where one is known. UserError where no
    operators were noted, or the program cannot be computed.
    """
    pairs = [pair for one in subject.fittings.values() for pair in zip(one.calls, one.orders)]
    call, orders = next(((call, orders) for call, orders in pairs if call.file and call.trace), (None, None))
    if call is None:
        raise UserError("--reprod: no operators of the network were noted (TIPC_OBSERVE_DEEP=1 has them noted)")
    with tempfile.TemporaryDirectory(prefix="diagnose_") as temporary:
        program = run_program(subject.exported, model_inputs(call, orders[0])[0], Path(temporary))
        if isinstance(program, str):
            raise UserError(f"--reprod: the operators of the export cannot be computed one by one: {program}")
        comparison = Comparison(Trace(call.trace), program)
        reference, export = {}, {}
        for number, partner in comparison.pairs:
            operator, other = program.operators[number], comparison.network.operators[partner]
            place = main_output(operator)
            name = "/".join(filter(None, (other.layer, operator.outputs[place].name)))
            reference[name] = _whole(comparison.network, other, main_output(other))
            export[name] = _whole(program, operator, place)
    folder.mkdir(parents=True, exist_ok=True)
    write_reprod(folder / "reference.npy", reference)
    write_reprod(folder / "export.npy", export)
    return len(reference)


def _whole(trace, operator, place):
    """The output in its shape, where all of its numbers were kept."""
    array, output = trace.array(operator, place), operator.outputs[place]
    return array.reshape(output.shape) if output.step == 1 else array
