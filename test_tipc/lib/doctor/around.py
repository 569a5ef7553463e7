"""The surroundings of the checks: everything that they look at goes through here, so that a test can put it there."""

import glob
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

SECONDS = 10  # that a program may take to answer


class Around:
    """A machine, seen from a project.

    root       the folder in which /proc, /sys, /dev and /etc are
    environ    environment variables
    project    the folder that holds test_tipc/
    bash       the version of the shell
    network    whether the package index may be asked
    """

    def __init__(self, project, root="/", environ=None, bash="", network=False):
        self.root, self.project = Path(root), Path(project)
        self.environ = dict(os.environ if environ is None else environ)
        self.bash, self.network = bash, network
        self.system, self.machine = os.uname().sysname, os.uname().machine
        self.user = os.geteuid()
        self.libc = self._libc()
        self._answers = {}

    @staticmethod
    def _libc():
        try:
            return os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (ValueError, OSError, AttributeError):
            return ""

    def read(self, path):
        """The text of a file of the system, "" where there is none."""
        try:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def exists(self, path):
        return (self.root / path.lstrip("/")).exists()

    def find(self, pattern):
        """Paths of the system, without the root, that fit a pattern."""
        found = sorted(glob.glob(str(self.root / pattern.lstrip("/"))))
        return ["/" + os.path.relpath(path, str(self.root)) for path in found]

    def which(self, name):
        """The path of a program, None where there is none."""
        return shutil.which(name, path=self.environ.get("PATH", ""))

    def run(self, *words, seconds=SECONDS):
        """(exit code, what it printed) of a program; (127, "") where it cannot be started, (124, …) where it hangs."""
        key = words
        if key not in self._answers:
            self._answers[key] = self._run(words, seconds)
        return self._answers[key]

    def _run(self, words, seconds):
        try:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=str(self.project),
            )
        except OSError:
            return 127, ""
        try:
            printed, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
            return 124, printed.decode("utf-8", "replace")
        return process.returncode, printed.decode("utf-8", "replace")

    def free(self, path):
        """(free bytes for this user, bytes in all) of the file system of a path; None where it is not there."""
        try:
            found = os.statvfs(str(path))
        except OSError:
            return None
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def writable(self, path):
        """Whether files can be made in a folder, as far as that is seen without making one."""
        return os.path.isdir(str(path)) and os.access(str(path), os.W_OK | os.X_OK)

    def temporary(self):
        """The folder of temporary files."""
        return Path(self.environ.get("TMPDIR") or "/tmp")

    def mounted_with(self, path):
        """The options of the file system that holds a path, as /proc/mounts has them."""
        path, best, options = os.path.realpath(str(path)), "", []
        for line in self.read("/proc/mounts").splitlines():
            words = line.split()
            if len(words) < 4:
                continue
            place = words[1].replace("\\040", " ")
            if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
                best, options = place, words[3].split(",")
        return options

    def cores(self):
        """Cores that this process may run on."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def files_limit(self):
        """How many files a process may have open."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def now(self):
        return time.time()

    def encoding(self):
        """The encoding of text that a Python started here uses: UTF-8 in a locale of that name, and in C since 3.7."""
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            value = self.environ.get(name, "")
            if value:
                break
        else:
            value = "C"
        if self.environ.get("PYTHONUTF8") == "1" or "utf-8" in value.lower() or "utf8" in value.lower():
            return "UTF-8", value
        return "", value

    @property
    def python(self):
        """The interpreter that the chains use: that of TIPC_PYTHON, or of .venv; None where it is not there."""
        named = self.environ.get("TIPC_PYTHON")
        if named:
            found = named if "/" in named else self.which(named)
            return found if found and os.access(found, os.X_OK) else None
        own = self.project / ".venv/bin/python"
        return str(own) if own.exists() else None

    def sites(self):
        """The folders, escaped for `glob`, from which the chains' interpreter imports; [] without one."""
        if not self.python:
            return []
        status, printed = self.run(self.python, "-c", "import sys; print('\\n'.join(sys.path))")
        return [glob.escape(folder) for folder in printed.splitlines() if folder] if status == 0 else []

    def packages(self):
        """{name, as pip compares names: version} of what the chains' interpreter has; {} without one."""
        found = {}
        for folder in self.sites():
            for path in glob.glob(os.path.join(folder, "*.dist-info")):
                name, _, version = os.path.basename(path)[: -len(".dist-info")].rpartition("-")
                found.setdefault(name.lower().replace("_", "-").replace(".", "-"), version)
        return found
