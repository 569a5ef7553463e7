"""The machine of a run: its processor, graphics card, cores and memory, and the load of other processes."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, Optional

_MOST_THREADS = 8  # of MKL: convolutions of one image are too small for more


def describe():
    """{"cpu", "cores", "gpu", "system"} of this machine, as people name them."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe_processor(environ=os.environ):
    """The processor's name and the settings of MKL: `AMD EPYC 9654, MKL_DEBUG_CPU_TYPE=5, MKL_NUM_THREADS=2`."""
    settings = [f"{name}={environ[name]}" for name in ("MKL_DEBUG_CPU_TYPE", "MKL_NUM_THREADS") if name in environ]
    return ", ".join([_cpu(), *settings])


def speed_up_mkl(environ=os.environ, cpuinfo="/proc/cpuinfo"):
    """Make Paddle's MKL use AVX2 on an AMD processor, where it would take its slowest path; before Paddle computes.

    Returns whether that was done: not on other processors, and not where the user has set MKL_DEBUG_CPU_TYPE. A
    training step of ResNet50_vd takes about 0.3 of the time then; strict comparisons stay equal bit by bit.
    test_tipc/lib/environment.sh does the same for the chains.
    """
    if "MKL_DEBUG_CPU_TYPE" in environ:
        return False
    try:
        first, _, _ = Path(cpuinfo).read_text(encoding="utf-8").partition("\n\n")  # the processors are alike
    except OSError:
        return False
    facts = {name.strip(): value.split() for name, _, value in (line.partition(":") for line in first.splitlines())}
    if facts.get("vendor_id") != ["AuthenticAMD"] or "avx2" not in facts.get("flags", ()):
        return False
    environ["MKL_DEBUG_CPU_TYPE"] = "5"
    return True


def use_cores(environ=os.environ):
    """Make MKL compute with this process's share of the cores, where Paddle would take one; before Paddle is imported.

    For a training alone; see `keep_to_one_thread`. On one machine, the same number of threads gives the same bits in
    every run. Returns the number of threads; MKL_NUM_THREADS and OMP_NUM_THREADS of the user count.
    tools/tables/speed_table.py measures what it brings.
    """
    for stated in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        if stated in environ:
            return environ[stated]
    processes = environ.get("PADDLE_LOCAL_SIZE", "1")  # of this training, on this machine
    threads = max(1, usable_cores() // int(processes)) if processes.isdecimal() and int(processes) else 1
    environ["MKL_NUM_THREADS"] = str(min(threads, _MOST_THREADS))
    return environ["MKL_NUM_THREADS"]


def keep_to_one_thread(environ=os.environ):
    """Make MKL compute with one thread, as Paddle has it, whatever MKL_NUM_THREADS and OMP_NUM_THREADS of the user say.

    For all but trainings: more threads add up in another order, and predictions are compared bit by bit. The engines of
    Paddle Inference set their number of threads themselves, afterwards.
    """
    if any(environ.get(stated, "1") != "1" for stated in ("MKL_NUM_THREADS", "OMP_NUM_THREADS")):
        environ["MKL_NUM_THREADS"] = "1"


def _gpu():
    return _ask_gpu("name") or "none"


def _ask_gpu(field, gpu_id=0):
    """What nvidia-smi says of a graphics card; None where there is none."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[gpu_id].strip() if gpu_id < len(lines) else None


class GpuFacts(NamedTuple):
    """The version of the driver, and how busy the card is now, in percent; None where there is no card."""

    driver: Optional[str]
    used: Optional[float]


def gpu_facts(gpu_id=0):
    """The `GpuFacts` of a graphics card."""
    driver, _, used = (_ask_gpu("driver_version,utilization.gpu", gpu_id) or "").partition(",")
    used = used.strip()
    return GpuFacts(driver.strip() or None, float(used) if used.replace(".", "", 1).isdecimal() else None)


def system_name():
    """The system as its makers name it: `Debian GNU/Linux 12`; the kernel's name where they do not say."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    facts = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    name = f"{facts.get('NAME', '')} {facts.get('VERSION_ID', '')}".strip()
    return name or f"{platform.system()} {platform.release()}"


def usable_cores():
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_mb():
    """The most memory that this process has had, in 2^20 bytes; None where the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


class OthersLoad:
    """The share of this machine's CPU time that other processes took; None where the system does not report it.

    `with OthersLoad() as load: ...`, then `load.share` (0 to 1). Only this process's own work is not counted.
    """

    share = None

    def __enter__(self):
        self._began = (_busy(), _own(), time.perf_counter())
        return self

    def __exit__(self, *reason):
        busy, own, clock = self._began
        if busy is not None:
            spent = (_busy() - busy) - (_own() - own)
            room = (time.perf_counter() - clock) * (os.cpu_count() or 1)
            self.share = min(max(spent / max(room, 1e-9), 0.0), 1.0)


class WaitForCores:
    """The share of time that a thread of this process was ready to run and had no core; None where Linux does not say.

    `with WaitForCores() as wait: ...`, then `wait.share` (0 to 1), that of the thread that waited longest.
    """

    share = None

    def __enter__(self):
        self._began = (_delays(), time.perf_counter())
        return self

    def __exit__(self, *reason):
        before, clock = self._began
        after, passed = _delays(), time.perf_counter() - clock
        if after:
            longest = max(delay - before.get(thread, 0) for thread, delay in after.items())
            self.share = min(max(longest / max(passed, 1e-9), 0.0), 1.0)


def _delays():
    """{thread of this process: seconds that it has waited for a core} since it started."""
    found = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        try:
            found[path.parent.name] = int(path.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # a thread that has ended, or a kernel without the figures
            continue
    return found


def _busy():
    """Seconds that all cores together have worked since the machine started."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _waiting, *interrupts = ticks
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _own():
    times = os.times()
    return times.user + times.system
