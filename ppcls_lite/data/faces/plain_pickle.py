"""Read the pickle of a pair file as data: an interpreter of our own that knows bytes, booleans, numbers and lists.

Python's unpickler calls what a file names, and believes the lengths that it states. This one calls nothing of a file's
choice: it knows the few names (`pickle_names.BUILT`) with which NumPy's arrays and the bytes of old protocols are
spelt, and makes plain bytes and booleans of them. All other names, and all other instructions, are refused. What a file
makes is never larger than a small multiple of the file: lengths are compared with what is left, and every string is
charged against the file's size. Protocols 0 to 5, as `pickletools` of Python's library documents them.
"""

import codecs
import io
import pickletools
import struct

from ppcls_lite.data.faces.pickle_names import BUILT, Array, Damaged, Kind, Name, Refused, as_text

_MARK = object()
_STACK = 1_000_000  # things that wait on the stack; a pickler writes lists in pieces of 1,000
_LINE = 1 << 16  # bytes of a line with a number or a name


def read_pickle(stream):
    """The value in the pickle of a binary `stream`: bytes, bool, int, None, str, tuple and list, and `Array`s, which
    `plain` makes values of. Raises Refused and Damaged."""
    return _Machine(stream).run()


class _Machine:
    def __init__(self, stream):
        self.stream = stream
        self.left = stream.seek(0, io.SEEK_END)
        self.budget = 2 * self.left  # old protocols write bytes as text, which is encoded once
        stream.seek(0)
        self.stack, self.memo = [], {}

    def run(self):
        while True:
            code = self.take(1)
            if code == b".":
                break
            step = _STEPS.get(code)
            if step is None:
                known = pickletools.code2op.get(code.decode("latin1"))
                raise Refused(f"has the instruction {known.name}") if known else Damaged(f"the byte 0x{code[0]:02x}")
            step(self)
            if len(self.stack) > _STACK:
                raise Refused(f"has more than {_STACK:,} loose values")
        if self.left:
            raise Damaged(f"{self.left} bytes after its end")
        value = self.pop()
        if self.stack:
            raise Damaged("values that belong to nothing")
        return value

    def take(self, size):
        """The next `size` bytes."""
        if size > self.left:
            raise Damaged(f"{size} bytes expected, {self.left} are left")
        data = self.stream.read(size)
        if len(data) != size:
            raise Damaged("it became shorter while it was read")
        self.left -= size
        return data

    def line(self):
        data = self.stream.readline(self.left)
        self.left -= len(data)
        if not data.endswith(b"\n"):
            raise Damaged("a line without end")
        return data[:-1]

    def short_line(self):
        data = self.line()
        if len(data) > _LINE:
            raise Damaged(f"a number or a name of {len(data)} bytes")
        return data

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def charge(self, data):
        """`data` is new in memory; all of it together is at most the file."""
        self.budget -= len(data)
        if self.budget < 0:
            raise Refused("makes the same bytes again and again")
        return data

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if not self.stack or self.stack[-1] is _MARK:
            raise Damaged("a value is missing")
        return self.stack.pop()

    def pop_marked(self):
        """The values above the topmost mark, which is removed too."""
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise Damaged("a mark is missing")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def top_list(self):
        if not self.stack or not isinstance(self.stack[-1], list):
            raise Damaged("a list is missing")
        return self.stack[-1]

    def keep(self, index):
        if not self.stack or self.stack[-1] is _MARK:
            raise Damaged("a value is missing")
        self.memo[index] = self.stack[-1]

    def recall(self, index):
        if index not in self.memo:
            raise Damaged(f"value {index} is used before it is kept")
        self.push(self.memo[index])

    def name(self, module, name):
        full = f"{as_text(module)}.{as_text(name)}"
        if full not in BUILT:
            raise Refused(f"names {full[:80]!r}")
        self.push(Name(full))

    def call(self):
        """REDUCE: what one of the known names makes of its arguments."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused("has a call of something that is not a name")
        make = BUILT[function.name]
        if make is None:
            raise Refused(f"has a call of {function.name!r}")
        try:
            value = make(*arguments)
        except (TypeError, ValueError, AttributeError):
            raise Refused(f"has arguments of {function.name!r} that no pair file has") from None
        self.push(self.charge(value) if isinstance(value, bytes) else value)

    def state(self):
        """BUILD: the content of an array, or the byte order of its numbers."""
        state = self.pop()
        target = self.stack[-1] if self.stack else None
        if not isinstance(state, tuple) or not isinstance(target, (Array, Kind)):
            raise Refused("has a state that no array has")
        target.set_state(state)


def _protocol(machine):
    if machine.number("B") > 5:
        raise Refused("is a pickle of a protocol above 5")


def _frame(machine):
    size = machine.number("Q")
    if size > machine.left:
        raise Damaged(f"a part of {size} bytes, {machine.left} are left")


def _int_line(machine):
    text = machine.short_line()
    if text in (b"00", b"01"):  # how protocol 0 spells booleans
        machine.push(text == b"01")
    else:
        machine.push(_whole(text))


def _whole(text):
    text = text.decode("latin1").removesuffix("L")
    if len(text) > 20 or not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
        raise Damaged(f"the number {text!r:.30}")
    return int(text)


def _old_string(machine):
    text = machine.line()
    if len(text) < 2 or text[:1] not in b"'\"" or text[:1] != text[-1:]:
        raise Damaged("a text without quotes")
    try:
        machine.push(machine.charge(codecs.escape_decode(text[1:-1])[0]))
    except ValueError:
        raise Damaged("a text with a wrong escape") from None


def _unicode_line(machine):
    try:
        machine.push(machine.charge(machine.line().decode("raw_unicode_escape")))
    except UnicodeError:
        raise Damaged("a text with a wrong escape") from None


def _bytes_of(form):
    return lambda machine: machine.push(machine.charge(machine.take(_length(machine, form))))


def _text_of(form):
    def step(machine):
        try:
            machine.push(machine.charge(machine.take(_length(machine, form)).decode("utf-8", "surrogatepass")))
        except UnicodeError:
            raise Damaged("a text that is not UTF-8") from None

    return step


def _length(machine, form):
    size = machine.number(form)
    if size < 0:
        raise Damaged(f"a length of {size}")
    return size


def _append(machine):
    value = machine.pop()
    machine.top_list().append(value)


def _extend(machine):
    values = machine.pop_marked()
    machine.top_list().extend(values)


def _tuple_of(size):
    def step(machine):
        values = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(values)))

    return step


def _stack_name(machine):
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise Damaged("a name that is no text")
    machine.name(module, name)


def _long1(machine):
    data = machine.take(machine.number("B"))
    if len(data) > 8:
        raise Refused(f"has a number of {len(data)} bytes")
    machine.push(int.from_bytes(data, "little", signed=True))


_STEPS = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"(": lambda m: m.push(_MARK),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.pop_marked() and None,
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _int_line,
    b"L": lambda m: m.push(_whole(m.short_line())),
    b"J": lambda m: m.push(m.number("i")),
    b"K": lambda m: m.push(m.number("B")),
    b"M": lambda m: m.push(m.number("H")),
    b"\x8a": _long1,
    b"C": _bytes_of("B"),
    b"B": _bytes_of("I"),
    b"\x8e": _bytes_of("Q"),
    b"\x96": _bytes_of("Q"),  # a bytearray, which nobody changes here
    b"S": _old_string,
    b"U": _bytes_of("B"),  # the str of Python 2, which are bytes
    b"T": _bytes_of("i"),
    b"V": _unicode_line,
    b"\x8c": _text_of("B"),
    b"X": _text_of("I"),
    b"\x8d": _text_of("Q"),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_marked()),
    b"a": _append,
    b"e": _extend,
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_marked())),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"p": lambda m: m.keep(_whole(m.short_line())),
    b"q": lambda m: m.keep(m.number("B")),
    b"r": lambda m: m.keep(m.number("I")),
    b"\x94": lambda m: m.keep(len(m.memo)),
    b"g": lambda m: m.recall(_whole(m.short_line())),
    b"h": lambda m: m.recall(m.number("B")),
    b"j": lambda m: m.recall(m.number("I")),
    b"c": lambda m: m.name(m.short_line(), m.short_line()),
    b"\x93": _stack_name,
    b"R": lambda m: m.call(),
    b"b": lambda m: m.state(),
}
