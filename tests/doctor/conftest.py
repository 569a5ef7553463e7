"""A machine for doctor's checks: a folder with its /proc and /sys, programs on PATH, an interpreter with packages."""

import os
from pathlib import Path

import pytest

from doctor.around import Around

CPUINFO = "vendor_id\t: {vendor}\nmodel name\t: A processor\nflags\t\t: fpu {flags}\n\nvendor_id\t: {vendor}\n"
GIB = 2**30
INTERPRETER = """#!/bin/sh
case "$*" in
*sys.path*) echo '{site}' ;;
*submodule_search_locations*) echo '{site}/paddle_serving_server' ;;
*"pip index"*) {index} ;;
*find_spec*) {answer} ;;
esac
"""


class Machine(Around):
    """One that nothing is wrong with; the methods below put something else there."""

    def __init__(self, folder):
        self.folder = folder
        project = folder / "project"
        (project / "test_tipc").mkdir(parents=True)
        (project / "test_tipc/doctor.sh").write_text("")
        self.programs, self.site = folder / "bin", folder / "site"
        self.programs.mkdir()
        self.site.mkdir()
        environ = {"PATH": str(self.programs), "LANG": "C.UTF-8", "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        super().__init__(project, folder / "root", environ, bash="5.2.15(1)-release")
        self.system, self.machine, self.libc, self.user = "Linux", "x86_64", "glibc 2.36", 1000
        self.space = {"": (100 * GIB, 200 * GIB)}
        self.put("dev/shm/.keep", "")
        self.put("proc/cpuinfo", CPUINFO.format(vendor="GenuineIntel", flags="avx avx2 avx512f avx512_vnni"))
        self.put("proc/meminfo", f"MemTotal: {16 * 2**20} kB\nMemAvailable: {12 * 2**20} kB\n")
        self.put("proc/mounts", "/dev/vda / ext4 rw,relatime 0 0\n")
        self.put("proc/net/tcp", "  sl  local_address rem_address   st\n")
        for name in ("git", *(each for names in _programs().values() for each in names)):
            self.program(name, "echo abc1234")
        self.python_on_path("3.11")
        self.interpreter()
        self.packages_are(paddlepaddle="3.1.1", numpy="1.26.4", protobuf="3.20.3", setuptools="80.9.0")

    def put(self, path, text):
        """A file of the system."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def program(self, name, body):
        (self.programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.programs / name).chmod(0o755)

    def no_program(self, *names):
        for name in names:
            (self.programs / name).unlink()

    def python_on_path(self, version, name="python3", complete=True):
        self.program(name, f"echo {version} {complete}")

    def interpreter(self, version="3.11", starts=True, index="true"):
        """That of the chains."""
        answer = f"echo {version} True" if starts else "exit 1"
        path = self.project / ".venv/bin/python"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(INTERPRETER.format(site=self.site, answer=answer, index=index))
        path.chmod(0o755)

    def no_interpreter(self):
        (self.project / ".venv/bin/python").unlink()

    def packages_are(self, **versions):
        """Replace the packages of that interpreter; `_` is `-` in a name."""
        for path in self.site.glob("*.dist-info"):
            path.rmdir()
        for name, version in versions.items():
            (self.site / f"{name}-{version}.dist-info").mkdir()

    def card(self, capability, driver="535.104.05", name="A card"):
        self.program("nvidia-smi", f"echo '{name}, {capability}, {driver}'")

    def free(self, path):
        return next((self.space[end] for end in self.space if end and str(path).endswith(end)), self.space[""])

    def cores(self):
        return 8

    def files_limit(self):
        return 4096

    def now(self):
        return os.stat(self.project / "test_tipc/doctor.sh").st_mtime + 60


def _programs():
    from doctor.shell import PROGRAMS

    return PROGRAMS


@pytest.fixture
def machine(tmp_path):
    return Machine(Path(tmp_path))
