"""Rewrite the generated protobuf modules (*_pb2.py) of a package so that every protobuf from 3.20 on can load them.

    python test_tipc/lib/renew_pb2.py paddle_serving_server paddle_serving_app paddle_serving_client

Protobuf 4 and later refuse modules of a protoc before 3.19, and so a package such as Paddle Serving would need
protobuf 3.20 for ever. Each of them holds the description of its messages, a FileDescriptorProto, as a literal, which
is read here without running the module. It becomes a module in the form that protoc 3.20 introduced: protobuf itself
builds the classes from the description. A protoc of today (grpcio-tools) would write this form, too, but with a check
that refuses every protobuf older than itself, and its installation may replace the protobuf that is there.
Every new module is loaded by this interpreter before the first one is written. Repeating it changes nothing.
Exit code: 0 all modules are in that form, 1 one cannot be read or loaded (then none was changed).
"""

import argparse
import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from script import UserError, atomic_write, counted, run_main

MODULE = '''"""Generated protocol buffer code of {name}, renewed by test_tipc/lib/renew_pb2.py."""
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf.internal import builder as _builder

DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile({description!r})
_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())
_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, {module!r}, globals())
'''
NAME, DEPENDENCY = 1, 3  # fields of a FileDescriptorProto
VARINT, BYTES = 0, 2  # wire types


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", help="names of packages of this interpreter; they are not imported")
    folders = [package_folder(name) for name in parser.parse_args().packages]
    changed = 0
    texts = {path: renewed(path, folder.parent) for folder in folders for path in modules(folder)}
    for path, text in texts.items():
        check_loads(path, text)
    for path, text in texts.items():
        if path.read_bytes() != text.encode():
            write(path, text)
            changed += 1
    print(f"{counted(len(texts), 'protobuf module')}, {changed} of them rewritten")


def package_folder(name):
    """Where this interpreter would import the package from."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{sys.executable}: has no package {name!r:.80}")
    return Path(next(iter(spec.submodule_search_locations)))


def modules(folder):
    """The paths of a package's generated modules."""
    found = sorted(folder.rglob("*_pb2.py"))
    if not found:
        raise UserError(f"{folder}: expected a package with generated protobuf modules (*_pb2.py), found none")
    return found


def renewed(path, root):
    """The text of the module at `path` in the newer form; `root` is the folder from which it is imported."""
    description = read_description(path)
    try:
        fields = list(split_message(description))
    except IndexError:
        raise UserError(f"{path}: its description of {len(description)} bytes is damaged") from None
    names = {number: [value for key, value in fields if key == number] for number in (NAME, DEPENDENCY)}
    if len(names[NAME]) != 1 or names[DEPENDENCY]:
        found = f"{len(names[NAME])} names and {len(names[DEPENDENCY])} imports"
        raise UserError(f"{path}: expected the description of one .proto file that imports none, found {found}")
    name = ascii(names[NAME][0].decode("utf-8", "replace"))[1:-1]
    module = ".".join(path.relative_to(root).with_suffix("").parts)
    return MODULE.format(name=name, description=description, module=module)


def read_description(path):
    """The bytes of the FileDescriptorProto in a generated module of any age."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError, RecursionError):
        raise UserError(f"{path}: not a Python module, or damaged") from None
    found = []
    for call in nodes:
        if isinstance(call, ast.Call):
            found += [keyword.value for keyword in call.keywords if keyword.arg == "serialized_pb"]
            if isinstance(call.func, ast.Attribute) and call.func.attr == "AddSerializedFile":
                found += call.args
    # Python 2 had no bytes: the oldest modules have a text in the call of a function that encodes it
    literals = [node.args[0] if isinstance(node, ast.Call) and node.args else node for node in found]
    values = [node.value for node in literals if isinstance(node, ast.Constant)]
    if len(values) == 1 and isinstance(values[0], bytes):
        return values[0]
    if len(values) == 1 and isinstance(values[0], str) and all(ord(letter) < 256 for letter in values[0]):
        return values[0].encode("latin1")
    raise UserError(f"{path}: expected a generated module with one description of messages, found {len(values)}")


def split_message(message):
    """(number, bytes) of each field of a message that has other messages and texts; IndexError when it is cut."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        size, at = read_varint(message, at)
        if key & 7 == BYTES:
            if at + size > len(message):
                raise IndexError
            yield key >> 3, message[at : at + size]
            at += size
        elif key & 7 != VARINT:
            raise IndexError


def read_varint(message, at):
    value = shift = 0
    while message[at] > 127:
        value |= (message[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1


def check_loads(path, text):
    """In a process for each module: two packages may describe the same messages."""
    done = subprocess.run([sys.executable, "-"], input=text, cwd="/", capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"{path}: this Python's protobuf cannot load it, expected 3.20 or newer ({reason:.200})")


def write(path, text):
    mode = path.stat().st_mode & 0o777
    with atomic_write(path) as stream:
        stream.write(text)
    os.chmod(path, mode)


if __name__ == "__main__":
    run_main(main)
