"""A copy of an exported program that Paddle Lite 2.13 can read: with outputs that today's exports leave out.

Paddle up to 2.4 gave the operators below a second output, XShape, which only training reads; newer exports do not write
it. Paddle Lite 2.13rc0 takes it without asking: for x86 its opt ends with a segmentation fault. The copy has the
output, with a variable of its own that no operator reads, and nothing else is changed.
"""

from script import UserError

_HAD_XSHAPE = (
    "flatten2",
    "flatten_contiguous_range",
    "reshape2",
    "squeeze2",
    "transpose2",
    "unsqueeze2",
)


def with_xshape(content):
    """(bytes of the copy, how many outputs were added) for the bytes of a `.pdmodel`; UserError for other bytes."""
    from paddle.base import core

    try:
        program = core.ProgramDesc(content)
    except (ValueError, RuntimeError):
        raise UserError("not a Paddle program (.pdmodel), or damaged") from None
    added = 0
    for number in range(program.num_blocks()):
        block = program.block(number)
        for place in range(block.op_size()):
            operator = block.op(place)
            if operator.type() in _HAD_XSHAPE and not _output(operator, "XShape"):
                _add_xshape(block, operator)
                added += 1
    return (program.serialize_to_string() if added else content), added


def _output(operator, name):
    return operator.output(name) if name in operator.output_names() else []


def _add_xshape(block, operator):
    """The variable's shape is that of the operator's input behind a 0, as Paddle's own had it."""
    source = block.find_var_recursive(operator.input("X")[0].encode())
    name = f"{operator.output('Out')[0]}.xshape"
    variable = block.var(name.encode())
    variable.set_type(source.type())
    variable.set_dtype(source.dtype())
    variable.set_shape([0, *source.shape()])
    operator.set_output("XShape", [name])
