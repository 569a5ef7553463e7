"""renew_pb2.py: generated protobuf modules of any age become ones that this protobuf loads, or nothing changes."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from tests.helpers.scripts import LIMIT, ROOT, Outcome, assert_one_line

SCRIPT = ROOT / "test_tipc/lib/renew_pb2.py"
# As protoc wrote modules before 3.20, first the form that Python 2 needed; running one of them would be seen.
TRAP = "open('ran', 'w')\n"
OLDEST = TRAP + (
    "_b=sys.version_info[0]<3 and (lambda x:x) or (lambda x:x.encode('latin1'))\n"
    "DESCRIPTOR = _descriptor.FileDescriptor(name='a.proto', syntax='proto2', serialized_pb=_b({text!r}))\n"
)
OLD = (
    TRAP + "DESCRIPTOR = _descriptor.FileDescriptor(name='a.proto', serialized_options=None, serialized_pb={data!r})\n"
)
# as the protoc of another protobuf writes them today
CHECKED = TRAP + (
    "_runtime_version.ValidateProtobufRuntimeVersion(_runtime_version.Domain.PUBLIC, 99, 1, 2, '', 'a.proto')\n"
    "DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile({data!r})\n"
)
LOAD = """
import importlib, json, sys
found = {}
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    message = next(iter(module.DESCRIPTOR.message_types_by_name))
    made = getattr(module, message)()
    found[name] = [module.DESCRIPTOR.serialized_pb.hex(), message, type(made).__module__]
print(json.dumps(found))
"""


def description(name="a.proto", **more):
    """A .proto file with the message Answer { string text = 1; } as protoc describes it; its bytes."""
    made = FileDescriptorProto(name=name, package=name.partition(".")[0], **more)
    message = made.message_type.add(name="Answer")
    kind, label = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL
    message.field.add(name="text", number=1, type=kind, label=label)
    message.field.add(name="mark", number=2, type=kind, label=label, default_value="'\"\né")
    return made.SerializeToString()


def module_text(form, data):
    return form.format(data=data, text=data.decode("latin1"))


@pytest.fixture
def package(tmp_path):
    """The folder of a package `served`, with one module of each age."""
    folder = tmp_path / "site/served"
    (folder / "proto").mkdir(parents=True)
    for path in (folder, folder / "proto"):
        (path / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for name, form in (("oldest", OLDEST), ("old", OLD), ("checked", CHECKED)):
        (folder / f"proto/{name}_pb2.py").write_text(module_text(form, description(f"{name}.proto")))
    return folder


def renew(package, *more, **environment):
    path = os.pathsep.join([*more, str(package.parent)])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), package.name],
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def load(folder, *names):
    """{module: [its description as hex, a message's name, the module of the message's class]}"""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", LOAD, *names],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_modules_of_every_age_are_renewed_once_and_never_run(package):
    modes = {}
    for number, path in enumerate(sorted(package.glob("proto/*_pb2.py"))):
        path.chmod(0o640 + number)
        modes[path] = path.stat().st_mode
    expected = {f"served.proto.{name}_pb2": name for name in ("oldest", "old", "checked")}
    outcome = renew(package)
    assert outcome == (0, "3 protobuf modules, 3 of them rewritten\n", "")
    assert not list(package.parent.rglob("ran"))
    assert {path: path.stat().st_mode for path in modes} == modes
    for init in package.rglob("__init__.py"):
        init.write_text("")
    for module, (data, message, origin) in load(package.parent, *expected).items():
        assert bytes.fromhex(data) == description(f"{expected[module]}.proto")
        assert (message, origin) == ("Answer", module)
    before = contents(package)
    times = {path: path.stat().st_mtime_ns for path in before}
    assert renew(package) == (0, "3 protobuf modules, 0 of them rewritten\n", "")
    assert contents(package) == before
    assert {path: path.stat().st_mtime_ns for path in before} == times


@pytest.mark.parametrize("name", ["paddle_serving_server", "paddle_serving_app", "paddle_serving_client"])
def test_the_modules_of_paddle_serving(tmp_path, name):
    """Whatever form the installed ones have."""
    (installed,) = find_spec(name).submodule_search_locations
    package = Path(shutil.copytree(installed, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "__pycache__")))
    outcome = renew(package)
    assert outcome.status == 0, outcome.err
    count = len(list(package.rglob("*_pb2.py")))
    assert outcome.out.startswith(f"{count} protobuf modules, ")
    for init in package.rglob("__init__.py"):
        init.write_text("")
    paths = [path.relative_to(tmp_path).with_suffix("") for path in package.rglob("*_pb2.py")]
    assert len(load(tmp_path, *(".".join(path.parts) for path in paths))) == count >= 2


# ------------------------------------------------------------------------------------------------------- refused input

FAULTS = {
    "not Python": ("DESCRIPTOR = (\n", "not a Python module, or damaged"),
    "not text": ("\0", "not a Python module, or damaged"),
    "nothing in it": ("x = 1\n", "expected a generated module with one description of messages, found 0"),
    "two of them": (
        module_text(OLD, description()) * 2,
        "expected a generated module with one description of messages, found 2",
    ),
    "no literal": (TRAP + "DESCRIPTOR = f(serialized_pb=open('x').read())\n", "one description of messages, found"),
    "not latin1": ("DESCRIPTOR = f(serialized_pb=_b('\u20ac'))\n", "one description of messages, found"),
    "a number": ("DESCRIPTOR = f(serialized_pb=1)\n", "one description of messages, found"),
    "cut": (module_text(OLD, description()[:-1]), "bytes is damaged"),
    "of something else": (module_text(OLD, b"\x0f\x01"), "bytes is damaged"),
    "empty": (module_text(OLD, b""), "the description of one .proto file that imports none, found 0 names"),
    "imports another": (
        module_text(OLD, description(dependency=["google/protobuf/any.proto"])),
        "that imports none, found 1 names and 1 imports",
    ),
    "a message of no known type": (
        module_text(OLD, description().replace(b"\x28\x09", b"\x28\x0b")),
        "this Python's protobuf cannot load it, expected 3.20 or newer",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_module_that_cannot_be_renewed_leaves_all_as_they_are(package, fault):
    text, message = FAULTS[fault]
    (package / "proto/wrong_pb2.py").write_text(text, encoding="utf-8")
    before = contents(package)
    assert_one_line(renew(package), f"{package}/proto/wrong_pb2.py: ", message)
    assert contents(package) == before


@pytest.mark.parametrize("module", ["google.protobuf", "google.protobuf.internal.builder"])
def test_a_protobuf_that_is_missing_or_too_old(package, tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    before = contents(package)
    outcome = renew(package, str(tmp_path))
    assert_one_line(outcome, "protobuf cannot load it, expected 3.20 or newer (ModuleNotFoundError: ")
    assert contents(package) == before


def test_packages_that_are_not_there(package, tmp_path):
    assert_one_line(renew(tmp_path / "site/no_such"), "has no package 'no_such'")
    assert_one_line(renew(Path(f"{package.parent}/../x.y")), "has no package 'x.y'")
    for path in package.rglob("*_pb2.py"):
        path.unlink()
    assert_one_line(renew(package), f"{package}: expected a package with generated protobuf modules", "found none")
