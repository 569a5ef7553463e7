"""Processor, memory, disk."""

import os

from doctor.registry import check, fault, gib, note, ok

GIB = 2**30
PASS_THROUGH = "in a virtual machine, pass the host's processor through (-cpu host)"
ELSEWHERE = 'export TMPDIR="$HOME/tmp" && mkdir -p "$TMPDIR"'
# products of two bytes are summed in 16 bits there, which 8-bit weights overflow: docs/compression.md
WEIGHTS = "INT8 models need weights of 7 bits (the default of Slim.ptq.reduce_range)"


def _processor(around):
    """{name: value} of the first processor of /proc/cpuinfo; they are alike."""
    first = around.read("/proc/cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


@check
def processor(around):
    facts = _processor(around)
    name, flags = facts.get("model name", "an unknown processor"), facts.get("flags", "").split()
    if not flags:
        yield note("processor", name, "its instructions are not known: not an x86-64 processor, or no /proc")
    elif "avx" not in flags:
        means = "Paddle's wheels need AVX, and stop with 'Illegal instruction'"
        yield fault("processor", name + ", no AVX", means, PASS_THROUGH)
    elif "avx2" not in flags:
        means = "oneDNN and MKL take older, slower kernels"
        yield note("processor", name + ", no AVX2", means, PASS_THROUGH)
    elif "avx512f" not in flags:
        yield ok("processor", name + ", AVX2", "no AVX-512 and no VNNI: " + WEIGHTS)
    elif "avx512_vnni" not in flags and "avx_vnni" not in flags:
        yield ok("processor", name + ", AVX-512", "no VNNI: " + WEIGHTS)
    else:
        yield ok("processor", name + ", AVX-512, VNNI")


@check
def mkl(around):
    """MKL's slow path: on AMD it uses its oldest kernels unless it is told otherwise."""
    facts = _processor(around)
    if facts.get("vendor_id") != "AuthenticAMD" or "avx2" not in facts.get("flags", "").split():
        yield ok("mkl", "not an AMD processor with AVX2", "MKL chooses its kernels itself")
    elif "MKL_DEBUG_CPU_TYPE" not in around.environ:
        means = (
            "MKL takes its slowest kernels on AMD, which makes a training step take 3.5 times as long; the scripts"
            " here set it by themselves, other programs do not"
        )
        yield note("mkl", "AMD, and MKL_DEBUG_CPU_TYPE is not set", means, "export MKL_DEBUG_CPU_TYPE=5")
    elif around.environ["MKL_DEBUG_CPU_TYPE"] != "5":
        found = "AMD, and MKL_DEBUG_CPU_TYPE=" + around.environ["MKL_DEBUG_CPU_TYPE"]
        yield note("mkl", found, "5 is MKL's kernels for AVX2", "export MKL_DEBUG_CPU_TYPE=5")
    else:
        yield ok("mkl", "AMD, MKL_DEBUG_CPU_TYPE=5")


def _cores_of_cgroup(around):
    """The cores that the control group allows, None without a limit."""
    quota, _, period = around.read("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    if not quota:
        quota = around.read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
        period = around.read("/sys/fs/cgroup/cpu/cpu.cfs_period_us").strip()
    return int(quota) / float(period) if quota.isdigit() and period.isdigit() and int(period) else None


@check
def cores(around):
    usable, allowed = around.cores(), _cores_of_cgroup(around)
    if allowed and allowed < usable - 0.01:
        threads = max(1, int(allowed))
        means = "as many threads as there are cores wait for one another, and are slower than fewer"
        found = f"{usable} cores, of which the container may use {allowed:.3g}"
        yield note("cores", found, means, f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}")
    elif usable == 1:
        yield note("cores", "1 core", "the service and its client share it; a lite training takes about twice the time")
    else:
        yield ok("cores", f"{usable} cores")


def _memory_of_cgroup(around):
    """(limit, used) in bytes, None without a limit."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        found = around.read(limit).strip()
        if found.isdigit() and int(found) < 2**60:
            current = around.read(used).strip()
            return int(found), int(current) if current.isdigit() else 0
    return None


@check
def memory(around):
    facts = dict(line.split(":", 1) for line in around.read("/proc/meminfo").splitlines() if ":" in line)
    words = {name: value.split() for name, value in facts.items()}
    if "MemAvailable" not in words:
        yield note("memory", "not known", "/proc/meminfo does not say how much is free")
        return
    free, whole = int(words["MemAvailable"][0]) * 1024, "the machine"
    limit = _memory_of_cgroup(around)
    if limit and limit[0] - limit[1] < free:
        free, whole = max(0, limit[0] - limit[1]), f"the container, which may use {gib(limit[0])}"
    found = f"{gib(free)} free of {whole}"
    remedy = "end other programs, or raise the limit (docker run --memory)"
    if free < 1 * GIB:
        yield fault("memory", found, "a training or a service is killed by the system", remedy)
    elif free < 3 * GIB:
        means = "enough for the small networks; large ones, and several models at once, may be killed"
        yield note("memory", found, means, remedy)
    else:
        yield ok("memory", found)


@check
def shared_memory(around):
    place = around.root / "dev/shm"
    space = around.free(place)
    remedy = "docker run --shm-size=1g, or -o DataLoader.Train.loader.use_shared_memory=False"
    if space is None or not around.writable(place):
        yield fault("shared memory", "no /dev/shm that can be written", "data loaders with workers stop", remedy)
    elif space[0] < 256 * 2**20:
        means = "data loaders with workers pass batches through it, and stop with 'Bus error' when it is full"
        yield note("shared memory", f"/dev/shm has {gib(space[0])} free", means, remedy)
    else:
        yield ok("shared memory", f"/dev/shm has {gib(space[0])} free")


@check
def disk(around):
    space = around.free(around.project)
    found = f"{gib(space[0])} free" if space else "not known"
    ready = around.python is not None
    if not space or space[0] < 300 * 2**20:
        yield fault("disk", found, "weights and logs are not written", f"make room at {around.project}")
    elif space[0] < 3 * GIB and not ready:
        means = "the environment takes 2 GiB, and pip as much again while it unpacks"
        yield note("disk", found, means, f"make room at {around.project}, or set TMPDIR to a larger place")
    else:
        yield ok("disk", found)


@check
def temporary_folder(around):
    place = around.temporary()
    space = around.free(place)
    options = around.mounted_with(place)
    if not around.writable(place) or "ro" in options:
        means = "pip, the chains and the tests need a place for temporary files"
        yield fault("temporary folder", f"{place} cannot be written", means, ELSEWHERE)
    elif "noexec" in options:
        means = "what is built or unpacked there cannot be run: packages without a wheel, the C++ demos"
        yield note("temporary folder", f"{place} is mounted with noexec", means, ELSEWHERE)
    elif space and space[0] < 300 * 2**20:
        means = "pip, the chains and the tests need a place for temporary files"
        yield fault("temporary folder", f"{place} has {gib(space[0])} free", means, ELSEWHERE)
    else:
        yield ok("temporary folder", "{}, {} free".format(place, gib(space[0]) if space else "not known"))


@check
def project_folder(around):
    path, options = str(around.project), around.mounted_with(around.project)
    if not around.writable(path) or "ro" in options:
        means = "runs leave their files in test_tipc/output, and prepare.sh makes .venv"
        yield fault("project folder", path + " cannot be written", means, "export TIPC_OUTPUT=/a/folder TIPC_PYTHON=…")
    elif "noexec" in options:
        means = "the interpreter of .venv and C++ programs cannot be started there"
        yield fault("project folder", path + " is mounted with noexec", means, "clone it to another place")
    elif _ignores_case(path):
        means = "names that differ only in case are one file: two models may write over each other"
        yield note(
            "project folder", path + ", where case is ignored", means, "clone it to a file system that keeps case"
        )
    elif any(char.isspace() for char in path) or not all(ord(char) < 128 for char in path):
        means = "the scripts here accept it; official scripts, and the C++ code of Paddle, may not"
        yield note("project folder", repr(path), means, "clone it to a path of ASCII letters without blanks")
    else:
        yield ok("project folder", path)


def _ignores_case(path):
    """Whether a name in other letters leads to the same file."""
    own = os.path.join(path, "test_tipc")
    other = os.path.join(path, "TEST_TIPC")
    return os.path.exists(own) and os.path.exists(other) and os.path.samefile(own, other)
