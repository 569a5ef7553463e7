"""Numbers that configs write as sums, such as `scale: 1.0/255.0`, computed without `eval`."""

import ast
import math
import operator

from ppcls_lite.utils.errors import UserError

_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_LONGEST = 100  # characters; a number in a config is short, and deep nesting would only cost time


def number(value, where="value"):
    """`value` as an int or float; text may use + - * / and brackets, and nothing else.

    Raises UserError for anything that is not a finite number or such a sum.
    """
    try:
        result = value if type(value) in (int, float) else _parse(value)
        if math.isfinite(result):
            return result
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        pass  # one answer to all of them: not a number
    raise UserError(f"{where}: expected a number or a sum such as 1.0/255.0, found {value!r:.80}")


def _parse(text):
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ValueError("not a short text")
    return _compute(ast.parse(text.strip(), mode="eval").body)


def _compute(node):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_compute(node.left), _compute(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_compute(node.operand))
    raise ValueError("not arithmetic")
