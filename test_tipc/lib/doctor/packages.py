"""The packages of the chains' interpreter: versions with known faults."""

import glob

from doctor.pythons import USABLE, version_of_chains
from doctor.registry import check, fault, note, numbers, ok
from known_versions import note_on

CPU, GPU = "paddlepaddle", "paddlepaddle-gpu"
SERVING = ("paddle-serving-server", "paddle-serving-client", "paddle-serving-app")


def _pip(around):
    return f"{around.python} -m pip install "


@check
def paddle(around):
    found = around.packages()
    version = found.get(CPU) or found.get(GPU)
    if not around.python:
        yield ok("paddle", "no interpreter yet", "prepare.sh installs it")
    elif not version and version_of_chains(around) not in USABLE:
        yield ok("paddle", "not installed", "first another interpreter")
    elif not version:
        remedy = _pip(around) + "paddlepaddle==3.1.1"
        if "pip" not in found:
            remedy = f"{around.python} -m ensurepip && {remedy}"
        yield fault("paddle", "not installed", "nothing can be run", remedy)
    elif CPU in found and GPU in found:
        means = "both write the folder paddle/, and the later one is in effect with parts of the other"
        remedy = f"{around.python} -m pip uninstall -y paddlepaddle paddlepaddle-gpu, and install one of them"
        yield fault("paddle", f"paddlepaddle {found[CPU]} and paddlepaddle-gpu {found[GPU]}", means, remedy)
    else:
        name = CPU if CPU in found else GPU
        known = note_on(version, version_of_chains(around), gpu=name == GPU)
        if known:
            yield note("paddle", f"{name} {version}", known, _pip(around) + "paddlepaddle==3.1.1")
        else:
            yield ok("paddle", f"{name} {version}", "a certified pair with this Python")


@check
def exported_format(around):
    """From 3.2 on Paddle cannot write .pdmodel, which Serving and Lite need."""
    found = around.packages()
    version = numbers(found.get(CPU) or found.get(GPU) or "")
    if version[:2] >= (3, 2):
        means = "it cannot write inference.pdmodel ('argument (position 1) must be Value'): exports are inference.json,"
        means += " which Paddle Serving's C++ server and Paddle Lite cannot read"
        if version[:2] == (3, 3):
            means += "; its oneDNN stops on some of them"
        remedy = _pip(around) + "paddlepaddle==3.1.1"
        yield note("exported format", "Paddle {}".format(".".join(map(str, version))), means, remedy)
    elif version:
        yield ok("exported format", "inference.pdmodel can be written")
    else:
        yield ok("exported format", "no Paddle yet")


@check
def numpy(around):
    version = around.packages().get("numpy", "")
    if numbers(version) >= (2, 4):
        means = "paddle.flops stops with it ('only 0-dimensional arrays can be converted')"
        yield note("numpy", version, means, _pip(around) + "'numpy<2.4'")
    else:
        yield ok("numpy", version or "not installed")


@check
def protobuf(around):
    found = around.packages()
    version = found.get("protobuf", "")
    serving = [name for name in found if name.startswith("paddle-serving-")]
    if not version:
        yield ok("protobuf", "not installed")
    elif numbers(version) < (3, 20, 2):
        means = "Paddle needs 3.20.2 or newer"
        yield fault("protobuf", version, means, _pip(around) + "protobuf==3.20.3")
    elif serving and numbers(version)[:2] != (3, 20) and not _is_renewed(around):
        means = "the messages of Paddle Serving's wheels are for 3.20: 'Descriptors cannot be created directly'"
        yield fault("protobuf", version, means, f"bash test_tipc/install_serving.sh {around.python}")
    else:
        yield ok("protobuf", version)


def _is_renewed(around):
    """Whether install_serving.sh has rewritten the messages of the service; without importing them."""
    code = "import importlib.util as u; print(list(u.find_spec('paddle_serving_server').submodule_search_locations)[0])"
    status, printed = around.run(around.python, "-c", code)
    folder = printed.strip().splitlines()[-1:] if status == 0 else []
    if not folder:
        return False
    path = folder[0] + "/proto/general_model_config_pb2.py"
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return "renew_pb2" in stream.read(200)
    except OSError:
        return False


@check
def paddle_serving(around):
    """Server, client and app of one release; each needs the others."""
    found = around.packages()
    parts = {name: found.get(name) or found.get(name + "-gpu") for name in SERVING}
    remedy = f"bash test_tipc/install_serving.sh {around.python}"
    if not any(parts.values()):
        yield ok("paddle serving", "not installed", "prepare.sh CONFIG serving_infer installs it")
    elif not all(parts.values()):
        missing = ", ".join(name for name in SERVING if not parts[name])
        yield fault("paddle serving", "no " + missing, "the service does not start, or its clients do not", remedy)
    elif {numbers(version) for version in parts.values()} != {(0, 9, 0)}:
        shown = ", ".join("{} {}".format(*pair) for pair in sorted(parts.items()))
        yield note("paddle serving", shown, "0.9.0 of all three is what was tried", remedy)
    else:
        yield ok("paddle serving", "0.9.0")


@check
def paddle2onnx(around):
    found = around.packages()
    version = found.get("paddle2onnx", "")
    paddle = numbers(found.get(CPU) or found.get(GPU) or "")
    fits = "2.1.0" if paddle >= (3,) else "1.3.1"
    if not version:
        yield ok("paddle2onnx", "not installed", "prepare.sh CONFIG paddle2onnx_infer installs it")
    elif paddle and (numbers(version) >= (2,)) != (paddle >= (3,)):
        means = f"it is for Paddle {2 if paddle >= (3,) else 3}"
        yield fault("paddle2onnx", version, means, _pip(around) + "paddle2onnx==" + fits)
    else:
        yield ok("paddle2onnx", version)


# compiled modules, and the packages of Debian that have what they are linked with
LINKED = ("paddle/base/libpaddle.so", "paddle/fluid/libpaddle.so", "paddle/libs/lib*.so*", "cv2/cv2*.so")
OF_DEBIAN = {
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
}


@check
def linked_libraries(around):
    """What slim images leave out: `import paddle` stops with 'cannot open shared object file'. Nothing is imported."""
    modules = [path for folder in around.sites() for name in LINKED for path in sorted(glob.glob(f"{folder}/{name}"))]
    status, printed = around.run("ldd", *modules) if modules else (0, "")
    missing = [line.split()[0] for line in printed.splitlines() if line.rstrip().endswith("=> not found")]
    of_system = list(dict.fromkeys(name for name in missing if name in OF_DEBIAN))
    if of_system:
        means = "paddle or cv2 cannot be imported: 'cannot open shared object file'"
        packages = " ".join(dict.fromkeys(OF_DEBIAN[name] for name in of_system))
        yield fault("linked libraries", "no " + ", ".join(of_system), means, "apt-get install " + packages)
    elif status not in (0, 1):
        yield ok("linked libraries", "not looked at: no ldd")
    else:
        yield ok("linked libraries", "all there" if modules else "no Paddle yet")


@check
def what_paddle_forgets(around):
    """Packages that Paddle imports and does not always bring along."""
    found = around.packages()
    paddle = numbers(found.get(CPU) or found.get(GPU) or "")
    needed = ["setuptools"] if paddle >= (3,) else []
    if GPU in found and (2, 5) <= paddle[:2] < (3, 0):
        needed += ["decorator", "astor"]
    missing = [name for name in needed if name not in found]
    if missing:
        means = "Paddle imports it, and does not bring it along"
        yield fault("packages of paddle", "no " + ", ".join(missing), means, _pip(around) + " ".join(missing))
    else:
        yield ok("packages of paddle", ", ".join(needed) or "none that could be missing")
