"""Ground for the tests of prepare.sh: an interpreter that makes environments at once, whose pip installs nothing."""

import io
import json
import shutil
import subprocess
import sys
import tarfile

from tests.helpers.shell import CONFIGS, LIMIT, MODE, Run, wait_for

OFFICIAL = CONFIGS / "official_small.txt"
# It writes down what it was given, and makes the modules of Paddle and setuptools. A requirement in the file `refused`
# has no wheel; of `paddlepaddle>=` none is in the lane; no marker that speaks of Python 2 is true.
PIP = """
import json, os, sys, time
from pathlib import Path
note = Path(os.environ["NOTES"])
with open(note / "pip", "a") as stream: print(*sys.argv[1:], file=stream)
if (note / "wait").exists():
    (note / "new").write_text(str(os.getpid()))
    (note / "new").rename(note / "pid")
    while (note / "wait").exists(): time.sleep(0.05)
files = {word: Path(sys.argv[at + 1]) for at, word in enumerate(sys.argv) if word in ("-r", "-c")}
lines = {word: path.read_text().splitlines() for word, path in files.items()}
with open(note / "lists", "a") as stream: print(json.dumps(lines), file=stream)
if (note / "fail").exists(): sys.exit((note / "fail").read_text() or "no such package")
refused = (note / "refused").read_text().splitlines() if (note / "refused").exists() else []
wanted = [line for line in lines.get("-r", ()) if "python_version < '3'" not in line]
for line in wanted:
    if line in refused or ("-c" in lines and line.startswith("paddlepaddle>=")):
        sys.exit("ERROR: No matching distribution found for " + line)
for line in wanted:
    module = "paddle" if line.lower().startswith("paddlepaddle") else line.split("=")[0]
    if module in ("paddle", "setuptools"): (Path(__file__).parents[1] / module).mkdir(exist_ok=True)
"""
# An interpreter of a version that is looked for, whose environments come at once, with the pip above
INTERPRETER = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    "{python}" -m venv --without-pip "$3" || exit 1
    folder=$("$3/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir "$folder/pip" && cp "$NOTES/pip.py" "$folder/pip/__main__.py"
elif [ "$1" = -c ] && [ -n "$FAKE_VERSION" ]; then
    case $2 in *version_info*) echo "$FAKE_VERSION" ;; *) exit "$FAKE_VENV" ;; esac
else
    exec "{python}" "$@"
fi
"""
# Members of an archive that is as it should be, and one beside the folder
GOOD = ("lite_data/", "lite_data/train/", "lite_data/train/a b.jpg", "lite_data/列表.txt", "other/x")
TOOLS = "bash cat cksum cp cut dirname env find grep head iconv ln mkdir mv readlink rm sed sh sleep sort tail touch tr"


class SetUp:
    """A project with a test_tipc/ in it, with next to nothing in requirements.txt."""

    def __init__(self, folder, tree):
        self.tree, self.script, self.folder = tree, tree / "test_tipc/prepare.sh", "/"
        self.venv, self.notes, self.bin = self.tree / ".venv", folder / "notes", folder / "bin"
        self.requirements("# nothing\n")
        self.notes.mkdir()
        (self.notes / "pip.py").write_text(PIP)
        self.bin.mkdir()
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.interpreter = self.bin / "python3.11"
        self.interpreter.write_text(INTERPRETER.format(python=sys._base_executable))
        self.interpreter.chmod(0o755)

    def requirements(self, text):
        (self.tree / "requirements.txt").write_text(text)

    def start(self, *arguments, **environment):
        """prepare.sh where nothing is on the PATH but the few programs that it may use."""
        return subprocess.Popen(
            ["bash", str(self.script), *(arguments or (str(OFFICIAL), MODE))],
            env={"PATH": str(self.bin), "NOTES": str(self.notes), "HOME": str(self.notes), **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, **environment):
        return self.finish(self.start(*arguments, **environment))

    def finish(self, process):
        out, err = process.communicate(timeout=LIMIT)
        return Run(process.returncode, out, err, None)

    def installations(self):
        path = self.notes / "pip"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def lists(self):
        """[{"-r": lines, "-c": lines}] of the calls of pip."""
        return [json.loads(line) for line in (self.notes / "lists").read_text().splitlines()]

    def pip(self):
        """The number of a pip that is at work, and waits."""
        assert wait_for((self.notes / "pid").exists)
        pid = (self.notes / "pid").read_text()
        (self.notes / "pid").unlink()
        return pid

    def assert_ready(self):
        run = self.run()
        assert (run.status, run.out, run.err) == (0, "", "")
        assert subprocess.run([self.venv / "bin/python", "-c", ""], check=False).returncode == 0
        assert not list(self.tree.glob(".venv.lock*"))


def pack(path, *members, mode="w"):
    """Write an archive; a member is a name (a folder if it ends in a slash), or (name, type, content or target)."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            name, kind, content = member if isinstance(member, tuple) else (member, None, "x")
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = kind or (tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
            info.mode = 0
            if info.isfile():
                data = content.encode()
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.linkname = content
                archive.addfile(info)
    return path
