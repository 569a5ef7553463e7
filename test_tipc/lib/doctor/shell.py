"""The system, the shell, and the programs that the scripts call."""

import os
import shlex
import time

from doctor.registry import check, fault, note, numbers, ok

# with the packages of Debian that have them, for the remedy
PROGRAMS = {
    "coreutils": ("cat", "cksum", "mkdir", "mv", "readlink", "realpath", "sha256sum", "sort", "stat", "tee"),
    "findutils": ("find",),
    "grep": ("grep",),
    "sed": ("sed",),
    "mawk": ("awk",),
    "tar": ("tar",),
    "diffutils": ("cmp", "diff"),
    "libc-bin": ("iconv",),
}
OLDEST_BASH = (4, 4)


@check
def system(around):
    name = f"{around.system} {around.machine}"
    if around.system != "Linux":
        yield fault("system", name, "the scripts read /proc and need Linux", "use a container with Linux")
    elif "microsoft" in around.read("/proc/version").lower() and str(around.project).startswith("/mnt/"):
        means = "files on a drive of Windows are slow, and have no rights of their own"
        yield note(
            "system", name + ", WSL, the project on a drive of Windows", means, "clone it below your home folder"
        )
    elif around.machine not in ("x86_64", "amd64"):
        yield note(
            "system", name, "what is certified here was run on x86-64; Paddle has other wheels for this processor"
        )
    elif not around.libc.startswith("glibc"):
        means = "Paddle's wheels are for glibc, and pip finds none for this system"
        yield fault("system", name + " without glibc", means, "use an image of Debian or Ubuntu instead of Alpine")
    else:
        yield ok("system", f"{name}, {around.libc}")


@check
def bash(around):
    if numbers(around.bash)[:2] < OLDEST_BASH:
        means = "the scripts stop: they need 4.4 or newer"
        yield fault(
            "bash", around.bash or "an unknown version", means, "install a newer bash, and start the scripts with it"
        )
    else:
        yield ok("bash", around.bash)


@check
def programs(around):
    missing = [(package, name) for package, names in PROGRAMS.items() for name in names if not around.which(name)]
    if missing:
        found = "no " + ", ".join(name for _, name in missing)
        packages = " ".join(dict.fromkeys(package for package, _ in missing))
        yield fault("programs", found, "the scripts call it", "apt-get install " + packages)
    else:
        yield ok("programs", f"all {sum(map(len, PROGRAMS.values()))} that the scripts call")


@check
def git(around):
    if not around.which("git"):
        means = "records and evidence cannot name the commit that was run"
        yield note("git", "no git", means, "apt-get install git")
        return
    status, printed = around.run("git", "-C", str(around.project), "rev-parse", "--short", "HEAD")
    if "dubious ownership" in printed:
        means = "the folder belongs to another user, so git says nothing of it, and no record has a commit"
        yield note(
            "git",
            "git refuses the folder",
            means,
            f"git config --global --add safe.directory {shlex.quote(str(around.project))}",
        )
    elif status:
        yield note("git", "the project is in no git repository", "records and evidence have no commit")
    else:
        yield ok("git", "commit " + printed.strip())


@check
def locale(around):
    encoding, value = around.encoding()
    if encoding:
        yield ok("locale", value)
    elif value in ("C", "POSIX"):
        means = "programs before Python 3.7 take text for ASCII, and paths with Chinese are printed as ?"
        yield note("locale", value, means, "export LC_ALL=C.UTF-8")
    else:
        yield fault(
            "locale", value, "logs and labels are UTF-8, and are read and printed wrongly", "export LC_ALL=C.UTF-8"
        )


@check
def user(around):
    inside = around.exists("/.dockerenv") or around.exists("/run/.containerenv")
    inside = inside or any(
        word in around.read("/proc/1/cgroup") for word in ("docker", "kubepods", "containerd", "lxc")
    )
    where = "in a container" if inside else "not in a container"
    if around.user == 0 and not inside:
        means = "what a run leaves belongs to root, and pip warns; every command of a config has all rights"
        yield note("user", "root, " + where, means, "use a user of your own")
    else:
        yield ok("user", f"{'root' if around.user == 0 else around.user}, {where}")


@check
def clock(around):
    """A clock that is behind the files of this program: certificates of servers fail, and evidence is dated wrongly."""
    newest = max((os.stat(str(path)).st_mtime for path in around.project.glob("test_tipc/*.sh")), default=0)
    now = around.now()
    shown = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now)) + " UTC"
    if now < newest - 86400:
        means = "it is before the files of test_tipc/ were written: records get wrong dates, and downloads fail"
        yield fault("clock", shown, means, "set the clock: timedatectl set-ntp true")
    else:
        yield ok("clock", shown)


@check
def open_files(around):
    limit = around.files_limit()
    if limit != -1 and limit < 256:
        yield fault(
            "open files", str(limit), "data loaders and services stop with 'Too many open files'", "ulimit -n 4096"
        )
    elif limit != -1 and limit < 1024:
        yield note("open files", str(limit), "a service with many clients may run out of them", "ulimit -n 4096")
    else:
        yield ok("open files", "no limit" if limit == -1 else f"up to {limit}")
