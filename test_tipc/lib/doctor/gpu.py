"""GPU, driver, CUDA's libraries, and whether the installed Paddle has code for the card."""

import os

from doctor.packages import GPU
from doctor.registry import check, fault, note, numbers, ok

# The wheels of paddlepaddle-gpu on the package index, and for which compute capabilities they hold machine code. None
# holds PTX, from which a driver could make code for a newer card: docs/gpu.md says how that was found.
CODE = (
    ((2, 5, 1), (2, 5, 2), ("7.0", "7.5", "8.0", "8.6")),
    ((2, 6, 0), (2, 6, 2), ("6.1", "7.0", "7.5", "8.0", "8.6")),
)
OLDEST_DRIVER = (450, 80)  # of CUDA 11
OWN_INDEX = (
    "install a build for CUDA 12 from Paddle's own index; the page 'install' of paddlepaddle.org.cn has the line"
)
LIBRARIES = ("libcudnn.so", "libcublas.so")
FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/cuda/lib64")


def _cards(around):
    """[(name, capability, driver)], None where there is no nvidia-smi, the text of its error where it fails."""
    if not around.which("nvidia-smi"):
        return None
    query = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
    status, printed = around.run("nvidia-smi", *query)
    if status:
        return printed.strip().splitlines()[-1] if printed.strip() else "nvidia-smi failed"
    rows = [[word.strip() for word in line.split(",")] for line in printed.splitlines() if line.count(",") == 2]
    return [tuple(row) for row in rows]


@check
def graphics_card(around):
    cards = _cards(around)
    if cards is None and (around.exists("/proc/driver/nvidia/version") or around.exists("/dev/nvidia0")):
        means = "the driver is loaded, and its program is not there: the chains count no GPU"
        yield note("gpu", "no nvidia-smi", means, "apt-get install nvidia-utils, or docker run --gpus all")
    elif cards is None or cards == []:
        yield ok("gpu", "none", "everything is run on the CPU; entries for a GPU are skipped")
    elif isinstance(cards, str):
        means = "the driver does not answer, and no program finds the GPU"
        yield fault("gpu", cards, means, "install the driver again and restart; in a container: docker run --gpus all")
    else:
        names = ", ".join(f"{name} ({capability})" for name, capability, _ in cards)
        yield ok("gpu", f"{names}, driver {cards[0][2]}")


@check
def code_for_the_card(around):
    """Whether the wheel has machine code that the card can run."""
    cards, version = _cards(around), around.packages().get(GPU)
    if not isinstance(cards, list) or not cards:
        yield ok("code for the gpu", "no GPU")
        return
    if not version:
        means = "the installed Paddle is for the CPU, and does not use it"
        yield note("code for the gpu", "no paddlepaddle-gpu", means, "install the GPU build of Paddle for this card")
        return
    held = next((code for first, last, code in CODE if first <= numbers(version) <= last), None)
    for name, capability, _ in cards:
        found = f"{name} ({capability}), paddlepaddle-gpu {version}"
        if held is None:
            yield ok("code for the gpu", found, "not one of the wheels whose code is known")
        elif not runs(held, capability):
            means = (
                f"it has code for {', '.join(held)} and no PTX: no kernel can be run ('no kernel image is available')"
            )
            yield fault("code for the gpu", found, means, OWN_INDEX)
        else:
            yield ok("code for the gpu", found, f"runs the code for {runs(held, capability)}")


def runs(held, capability):
    """The newest of the held codes that a card can run: of its own generation, and not newer than it; "" for none."""
    card = numbers(capability)
    fit = [code for code in held if numbers(code)[0] == card[0] and numbers(code) <= card]
    return max(fit, key=numbers) if fit else ""


@check
def driver(around):
    cards = _cards(around)
    if not isinstance(cards, list) or not cards:
        yield ok("driver", "no GPU")
    elif numbers(cards[0][2]) < OLDEST_DRIVER:
        means = "CUDA 11, which Paddle's builds use, needs 450.80 or newer"
        yield fault("driver", cards[0][2], means, "install a newer driver")
    else:
        yield ok("driver", cards[0][2])


@check
def cuda_libraries(around):
    """The libraries that paddlepaddle-gpu 2.5 and 2.6 open by these names when they first compute."""
    version = numbers(around.packages().get(GPU) or "")
    if not version:
        yield ok("cuda libraries", "no paddlepaddle-gpu")
        return
    if version < (2, 5) and not _places(around, "libcudart.so.10.2"):
        means = "Paddle before 2.5 is linked with CUDA 10.2, and cannot be imported without it"
        remedy = f"{around.python} -m pip install paddlepaddle-gpu==2.6.2"
        yield fault("cuda libraries", "no libcudart.so.10.2", means, remedy)
        return
    missing = [name for name in LIBRARIES if not _places(around, name)]
    if missing and version < (3,):
        means = "Paddle opens it by this name when it first computes on the GPU"
        remedy = "put the folders of CUDA 11.8 and cuDNN 8.6 into LD_LIBRARY_PATH"
        if (around.project / "requirements-cuda.txt").is_file():
            remedy = "pip install --no-deps -r requirements-cuda.txt, and what is written at its head"
        yield note("cuda libraries", "no " + ", ".join(missing), means, remedy)
    else:
        yield ok("cuda libraries", "inside or beside Paddle" if version >= (3,) else ", ".join(LIBRARIES))


def _places(around, name):
    """Where a library is: in LD_LIBRARY_PATH or a usual folder."""
    own = [folder for folder in around.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    found = [os.path.join(folder, name) for folder in own if os.path.exists(os.path.join(folder, name))]
    return found + [folder + "/" + name for folder in FOLDERS if around.exists(folder + "/" + name)]
