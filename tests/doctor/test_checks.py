"""Every check of doctor.sh: what it is for is put there, and it is seen; and a machine without faults passes it."""

import os
import shlex

import pytest

import examine
from doctor.registry import CHECKS, FAULT, NOTE, OK
from tests.doctor.conftest import CPUINFO, GIB

SERVING = {f"paddle_serving_{part}": "0.9.0" for part in ("server", "client", "app")}
AMD = CPUINFO.format(vendor="AuthenticAMD", flags="avx avx2")


def cpu(flags, vendor="GenuineIntel"):
    return lambda machine: machine.put("proc/cpuinfo", CPUINFO.format(vendor=vendor, flags=flags))


def has(**versions):
    return lambda machine: machine.packages_are(**versions)


def variables(**values):
    return lambda machine: machine.environ.update(values)


def file(path, text):
    return lambda machine: machine.put(path, text)


def attribute(name, value):
    return lambda machine: setattr(machine, name, value)


def method(name, value):
    return lambda machine: setattr(machine, name, lambda *words: value)


def both(*steps):
    def put(machine):
        for step in steps:
            step(machine)

    return put


def gpu_package(version, capability, **more):
    return both(has(paddlepaddle_gpu=version, **more), lambda machine: machine.card(capability))


def messages(text):
    """A package of Paddle Serving with these messages, and a protobuf for which its own are too old."""

    def put(machine):
        machine.packages_are(paddlepaddle="3.1.1", protobuf="7.36.0", **SERVING)
        folder = machine.site / "paddle_serving_server/proto"
        folder.mkdir(parents=True)
        (folder / "general_model_config_pb2.py").write_text(text)

    return put


def linked(*lines):
    """A Paddle of whose compiled module `ldd` says this."""

    def put(machine):
        module = machine.site / "paddle/base/libpaddle.so"
        module.parent.mkdir(parents=True)
        module.write_text("")
        machine.program("ldd", "\n".join(f"echo '\t{line}'" for line in lines))

    return put


def library(*names):
    def put(machine):
        folder = machine.folder / "libraries"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("")
        machine.environ["LD_LIBRARY_PATH"] = str(folder)

    return put


def service(http, rpc):
    """One whose second port is taken."""

    def put(machine):
        folder = machine.project / "deploy/service"
        folder.mkdir(parents=True)
        (folder / "config.yml").write_text(f"rpc_port: {rpc}\nhttp_port: {http}  # the usual one\n")
        machine.put("proc/net/tcp", f"sl\n 0: 00000000:{rpc:X} 00000000:0000 0A 0\n")

    return put


def case_ignored(machine):
    (machine.project / "TEST_TIPC").symlink_to("test_tipc")


def moved(name):
    def put(machine):
        machine.project = machine.project.rename(machine.folder / name)

    return put


# check, what is put there, the level, and words of the finding
RED = [
    ("python", lambda m: (m.python_on_path("3.8"), m.no_interpreter()), FAULT, "Python 3.9 to 3.13"),
    ("python", lambda m: m.python_on_path("3.12", complete=False), FAULT, "apt-get install python3.12-venv"),
    ("python", lambda m: (m.no_program("python3"), m.no_interpreter()), FAULT, "none on PATH"),
    ("interpreter", variables(TIPC_PYTHON="/no/python"), FAULT, "TIPC_PYTHON=/no/python: no such program"),
    ("interpreter", lambda m: m.interpreter(starts=False), FAULT, "rm -r .venv"),
    ("interpreter", lambda m: m.interpreter("3.8"), FAULT, "Python 3.8"),
    ("paddle", has(numpy="1.26.4", pip="25.0"), FAULT, "do: {python} -m pip install paddlepaddle==3.1.1"),
    ("paddle", has(numpy="1.26.4"), FAULT, "do: {python} -m ensurepip && {python} -m pip install paddlepaddle==3.1.1"),
    (
        "paddle",
        has(paddlepaddle="3.1.1", paddlepaddle_gpu="2.6.2"),
        FAULT,
        "uninstall -y paddlepaddle paddlepaddle-gpu",
    ),
    ("paddle", has(paddlepaddle="2.5.2"), NOTE, "not among the certified pairs"),
    ("paddle", has(paddlepaddle="3.3.0"), NOTE, "oneDNN stops on some .json models"),
    ("exported_format", has(paddlepaddle="3.2.2"), NOTE, "cannot write inference.pdmodel"),
    ("exported_format", has(paddlepaddle="3.3.1"), NOTE, "its oneDNN stops"),
    ("numpy", has(numpy="2.4.6"), NOTE, "'numpy<2.4'"),
    ("protobuf", has(protobuf="3.19.6"), FAULT, "protobuf==3.20.3"),
    ("protobuf", messages("import google"), FAULT, "install_serving.sh"),
    ("paddle_serving", has(paddle_serving_server="0.9.0"), FAULT, "no paddle-serving-client, paddle-serving-app"),
    ("paddle_serving", has(**{**SERVING, "paddle_serving_client": "0.8.3"}), NOTE, "paddle-serving-client 0.8.3"),
    ("paddle2onnx", has(paddlepaddle="3.1.1", paddle2onnx="1.3.1"), FAULT, "paddle2onnx==2.1.0"),
    ("paddle2onnx", has(paddlepaddle="2.6.2", paddle2onnx="2.1.0"), FAULT, "paddle2onnx==1.3.1"),
    ("linked_libraries", linked("libgomp.so.1 => not found"), FAULT, "no libgomp.so.1"),
    (
        "linked_libraries",
        linked("libgomp.so.1 => not found", "libGL.so.1 => not found"),
        FAULT,
        "install libgomp1 libgl1",
    ),
    ("what_paddle_forgets", has(paddlepaddle="3.1.1"), FAULT, "install setuptools"),
    ("what_paddle_forgets", has(paddlepaddle_gpu="2.6.2"), FAULT, "install decorator astor"),
    (
        "graphics_card",
        lambda m: m.program("nvidia-smi", "echo 'Failed to initialize NVML'; exit 9"),
        FAULT,
        "Failed to init",
    ),
    ("graphics_card", file("proc/driver/nvidia/version", "535"), NOTE, "no nvidia-smi"),
    ("code_for_the_card", gpu_package("2.6.2", "9.0"), FAULT, "no kernel image is available"),
    ("code_for_the_card", gpu_package("2.6.2", "12.0"), FAULT, "Paddle's own index"),
    ("code_for_the_card", gpu_package("2.5.2", "6.1"), FAULT, "code for 7.0, 7.5, 8.0, 8.6"),
    ("code_for_the_card", lambda m: m.card("8.6"), NOTE, "no paddlepaddle-gpu"),
    ("driver", lambda m: m.card("8.6", driver="440.33.01"), FAULT, "450.80 or newer"),
    ("cuda_libraries", has(paddlepaddle_gpu="2.6.2"), NOTE, "LD_LIBRARY_PATH"),
    ("cuda_libraries", has(paddlepaddle_gpu="2.4.2"), FAULT, "no libcudart.so.10.2"),
    ("processor", cpu("sse4_2"), FAULT, "Illegal instruction"),
    ("processor", cpu("avx"), NOTE, "no AVX2"),
    ("processor", file("proc/cpuinfo", "BogoMIPS : 50\n"), NOTE, "not known"),
    ("mkl", file("proc/cpuinfo", AMD), NOTE, "export MKL_DEBUG_CPU_TYPE=5"),
    ("mkl", both(file("proc/cpuinfo", AMD), variables(MKL_DEBUG_CPU_TYPE="4")), NOTE, "MKL_DEBUG_CPU_TYPE=4"),
    ("cores", file("sys/fs/cgroup/cpu.max", "200000 100000\n"), NOTE, "OMP_NUM_THREADS=2 MKL_NUM_THREADS=2"),
    (
        "cores",
        both(*(file(f"sys/fs/cgroup/cpu/cpu.cfs_{n}_us", v) for n, v in (("quota", "50000"), ("period", "100000")))),
        NOTE,
        "0.5",
    ),
    ("cores", method("cores", 1), NOTE, "1 core"),
    ("memory", file("proc/meminfo", "MemAvailable: 512000 kB\n"), FAULT, "500 MiB free"),
    ("memory", file("proc/meminfo", "MemAvailable: 2097152 kB\n"), NOTE, "2.0 GiB free"),
    ("memory", file("sys/fs/cgroup/memory.max", f"{512 * 2**20}\n"), FAULT, "the container, which may use 512 MiB"),
    ("memory", file("proc/meminfo", ""), NOTE, "not known"),
    ("shared_memory", attribute("space", {"dev/shm": (64 * 2**20, 64 * 2**20), "": (GIB, GIB)}), NOTE, "--shm-size=1g"),
    (
        "shared_memory",
        lambda m: (m.root / "dev/shm/.keep").unlink() or (m.root / "dev/shm").rmdir(),
        FAULT,
        "no /dev/shm",
    ),
    ("disk", attribute("space", {"": (100 * 2**20, 200 * GIB)}), FAULT, "100 MiB free"),
    ("disk", both(attribute("space", {"": (GIB, 200 * GIB)}), lambda m: m.no_interpreter()), NOTE, "TMPDIR"),
    ("temporary_folder", variables(TMPDIR="/no/folder"), FAULT, "/no/folder cannot be written"),
    ("temporary_folder", attribute("space", {"": (2**20, GIB)}), FAULT, "tmp has 1 MiB free"),
    ("temporary_folder", file("proc/mounts", "/dev/vda / ext4 rw,noexec 0 0\n"), NOTE, "noexec"),
    ("project_folder", file("proc/mounts", "/dev/vda / ext4 ro 0 0\n"), FAULT, "cannot be written"),
    ("project_folder", file("proc/mounts", "/dev/vda / ext4 rw,noexec 0 0\n"), FAULT, "noexec"),
    ("project_folder", case_ignored, NOTE, "case is ignored"),
    ("project_folder", moved("my project"), NOTE, "my project"),
    ("project_folder", moved("项目"), NOTE, "ASCII letters"),
    ("proxy", variables(https_proxy="http://proxy:3128"), NOTE, "export no_proxy=localhost,127.0.0.1"),
    ("proxy", variables(http_proxy="http://proxy:3128", no_proxy="localhost"), NOTE, "127.0.0.1"),
    ("ports", file("proc/net/tcp", "sl\n 0: 0100007F:46A0 00000000:0000 0A 0\n"), NOTE, "18080 in use"),
    ("ports", file("proc/net/tcp6", "sl\n 0: 00000000:2709 00000000:0000 0A 0\n"), NOTE, "9993 in use"),
    (
        "package_index",
        both(attribute("network", True), lambda m: m.interpreter(index="echo no route; exit 1")),
        NOTE,
        "no route",
    ),
    ("ports", service(8080, 8081), NOTE, "8081 in use"),
    ("system", attribute("system", "Darwin"), FAULT, "need Linux"),
    ("system", attribute("libc", ""), FAULT, "without glibc"),
    ("system", attribute("machine", "aarch64"), NOTE, "aarch64"),
    ("system", both(file("proc/version", "Linux Microsoft"), lambda m: setattr(m, "project", "/mnt/c/x")), NOTE, "WSL"),
    ("bash", attribute("bash", "3.2.57(1)-release"), FAULT, "3.2.57(1)-release"),
    ("programs", lambda m: m.no_program("iconv", "tar"), FAULT, "apt-get install tar libc-bin"),
    ("git", lambda m: m.no_program("git"), NOTE, "apt-get install git"),
    ("git", lambda m: m.program("git", "echo fatal: detected dubious ownership; exit 128"), NOTE, "safe.directory"),
    ("git", lambda m: m.program("git", "exit 128"), NOTE, "no git repository"),
    ("locale", variables(LANG="zh_CN.GBK"), FAULT, "zh_CN.GBK"),
    ("locale", variables(LANG="", LC_ALL=""), NOTE, "export LC_ALL=C.UTF-8"),
    ("user", attribute("user", 0), NOTE, "root, not in a container"),
    ("clock", method("now", 86400.0 * 365), FAULT, "1971"),
    ("open_files", method("files_limit", 512), NOTE, "ulimit -n 4096"),
    ("open_files", method("files_limit", 64), FAULT, "Too many open files"),
]
# what could be taken for a fault, and is none
GREEN = [
    ("python", lambda m: (m.no_program("python3"),), "the chains use"),
    (
        "python",
        lambda m: (m.python_on_path("3.8"), m.python_on_path("3.12", "python3.12")),
        "prepare.sh uses python3.12",
    ),
    ("interpreter", lambda m: m.no_interpreter(), "prepare.sh makes it"),
    ("paddle", lambda m: m.no_interpreter(), "prepare.sh installs it"),
    ("paddle", lambda m: None, "a certified pair"),
    ("paddle", both(has(numpy="1.26.4"), lambda m: m.interpreter("3.8")), "first another interpreter"),
    ("linked_libraries", lambda m: None, "no Paddle yet"),
    ("linked_libraries", linked("libm.so.6 => /lib/libm.so.6 (0x7f)", "libcuda.so.1 => not found"), "all there"),
    ("linked_libraries", both(linked(), lambda m: m.no_program("ldd")), "no ldd"),
    ("exported_format", has(paddlepaddle="2.6.2"), "can be written"),
    ("numpy", has(numpy="2.2.6"), "2.2.6"),
    ("protobuf", messages('"""Generated …, renewed by test_tipc/lib/renew_pb2.py."""'), "7.36.0"),
    ("paddle_serving", has(**SERVING), "0.9.0"),
    (
        "paddle_serving",
        has(paddle_serving_server_gpu="0.9.0.post112", paddle_serving_client="0.9.0", paddle_serving_app="0.9.0"),
        "0.9.0",
    ),
    ("paddle2onnx", has(paddlepaddle="2.6.2", paddle2onnx="1.3.1"), "1.3.1"),
    ("what_paddle_forgets", has(paddlepaddle="2.6.2"), "none that"),
    ("code_for_the_card", gpu_package("2.6.2", "8.9"), "runs the code for 8.6"),
    ("code_for_the_card", gpu_package("2.6.2", "6.1"), "runs the code for 6.1"),
    ("code_for_the_card", gpu_package("2.6.2", "7.0"), "runs the code for 7.0"),
    ("code_for_the_card", gpu_package("3.1.1", "9.0"), "not one of the wheels"),
    ("cuda_libraries", both(has(paddlepaddle_gpu="2.6.2"), library("libcudnn.so", "libcublas.so")), "libcudnn.so"),
    ("cuda_libraries", has(paddlepaddle_gpu="3.1.1"), "inside or beside Paddle"),
    ("driver", lambda m: m.card("8.6"), "535.104.05"),
    ("graphics_card", lambda m: m.card("8.6"), "A card (8.6), driver 535.104.05"),
    ("processor", cpu("avx avx2"), "weights of 7 bits"),
    ("processor", cpu("avx avx2 avx512f"), "weights of 7 bits"),
    ("mkl", both(file("proc/cpuinfo", AMD), variables(MKL_DEBUG_CPU_TYPE="5")), "MKL_DEBUG_CPU_TYPE=5"),
    ("cores", file("sys/fs/cgroup/cpu.max", "max 100000\n"), "8 cores"),
    ("memory", file("sys/fs/cgroup/memory.max", "max\n"), "12.0 GiB free of the machine"),
    ("disk", attribute("space", {"": (GIB, 200 * GIB)}), "1.0 GiB free"),
    ("proxy", variables(http_proxy="http://p", no_proxy="localhost, 127.0.0.1"), "not for this machine itself"),
    ("proxy", variables(http_proxy="http://p", NO_PROXY="*"), "http_proxy"),
    ("ports", file("proc/net/tcp", "sl\n 0: 0100007F:46A0 00000000:0000 01 0\n"), "18080 and 9993 free"),
    (
        "ports",
        both(variables(TIPC_SERVING_PORTS="1,2"), file("proc/net/tcp", "sl\n 0: 0:46A0 0:0 0A\n")),
        "1 and 2 free",
    ),
    ("package_index", attribute("network", True), "pip reaches it"),
    ("user", both(attribute("user", 0), file(".dockerenv", "")), "root, in a container"),
    ("locale", variables(LC_ALL="zh_CN.UTF-8", LANG="C"), "zh_CN.UTF-8"),
]


def findings(machine, name):
    (check,) = (each for each in CHECKS if each.__name__ == name)
    return examine.examine(machine, [check])


@pytest.mark.parametrize(("name", "put", "level", "words"), RED, ids=[f"{at}-{case[0]}" for at, case in enumerate(RED)])
def test_a_fault_is_seen(machine, name, put, level, words):
    put(machine)
    (found,) = findings(machine, name)
    assert found.level == level
    assert words.format(python=machine.folder / "project/.venv/bin/python") in examine.text_of(found)
    assert found.means
    assert "could not be made" not in found.means


@pytest.mark.parametrize(("name", "put", "words"), GREEN, ids=[f"{at}-{case[0]}" for at, case in enumerate(GREEN)])
def test_what_is_no_fault_passes(machine, name, put, words):
    put(machine)
    (found,) = findings(machine, name)
    assert found.level == OK
    assert words in examine.text_of(found)


def test_every_check_was_red():
    assert {name for name, *_ in RED} == {check.__name__ for check in CHECKS}


def test_a_machine_without_faults(machine):
    found = examine.examine(machine)
    assert [examine.text_of(one) for one in found if one.level != OK] == []
    assert examine.summary(found) == f"{len(CHECKS)} checks, nothing in the way"


def test_a_check_that_stops_does_not_end_the_others(machine):
    def strange(around):
        raise ValueError("odd")

    found = examine.examine(machine, [strange, *CHECKS])
    assert len(found) == len(CHECKS) + 1
    assert (found[0].level, found[0].found) == (FAULT, "ValueError: odd")


def test_nothing_is_written(machine):
    before = {path: os.stat(path).st_mtime_ns for path in machine.folder.rglob("*")}
    examine.examine(machine)
    assert {path: os.stat(path).st_mtime_ns for path in machine.folder.rglob("*")} == before


def test_the_remedy_of_git_is_a_command_for_any_path(machine, tmp_path):
    machine.project = tmp_path / "it's a folder"
    machine.project.mkdir()
    machine.program("git", "echo fatal: detected dubious ownership; exit 128")
    (found,) = findings(machine, "git")
    assert shlex.split(found.remedy)[-1] == str(machine.project)
