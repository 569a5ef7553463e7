"""The recording of one process: FOLDER/<pid>.jsonl, a line per event, and an npz per call that keeps its arrays.

    process    pid, argv, paddle (its version), images and megabytes (how much is kept)
    network    network (its name here), class, weights {name: shape, dtype, hash, trained}, loaded [{path, tensors,
               found, trained}]: files that paddle.load read before, how many of their tensors are in the network, and
               how many of these are its parameters: tables and other constants are there without being loaded
    predictor  network, files of the model, optimised: an engine, a loaded layer or a loaded program; of an engine, too,
               settings {ir_optim, memory_optim, onednn, openvino, onnxruntime, tensorrt, new_ir, gpu, threads,
               precision, passes, deleted}, see settings.py
    call       number, kind (layer, predictor, translated, program), network, training, place, batch (the leading length
               that the inputs share, or null), inputs and outputs [{name, shape, dtype, hash, rows}], file or null, and
               trace where its operators were noted (operators.py)
    dropped    file: an npz that had to go for another one
    decoded    number, library, call, path or null, source (the hash of the encoded bytes), orientation (of EXIF, 1
               where none is stated), shape, dtype, mode ("RGB", "L", …), hash, file or null: an image, see decoders.py;
               its npz has "pixels" in RGB order
    lost       why: something was not recorded
    end        calls: written at exit, missing after a kill

Hashes are blake2b-128 of an array's bytes, `rows` those of each row along the batch. The npz has "in0", "in1", …,
"out0", … in the order of the lists; bfloat16 is hashed and saved as float32.

Each line is written by one write to a file that is opened for it: a killed process leaves whole lines, and a script
that closes all files, changes its folder or forks does no harm.
"""

import atexit
import contextlib
import json
import os
import sys
import threading
import weakref

import numpy as np

from .arrays import batch_of, describe, join
from .sample import Sample

IMAGES, MEGABYTES = 32, 512
SPARE = 256 << 20  # bytes of the disk that stay free for the script
MOST_LOSSES = 20  # lines that say what was not recorded


class Local(threading.local):
    """What is going on in this thread."""

    busy = False  # within an observed call: what it calls is not one of the outermost


class Known:
    """Values of objects, kept as long as the objects live."""

    def __init__(self):
        self._values = {}

    def get(self, thing):
        reference, value = self._values.get(id(thing), (lambda: None, None))
        return value if reference() is thing else None

    def put(self, thing, value):
        self._values[id(thing)] = (weakref.ref(thing), value)

    def clear(self):
        self._values.clear()


def replace(name, function, other):
    """Put `other` where modules of Paddle hold `function` as `name`."""
    for title, module in list(sys.modules.items()):
        if title.partition(".")[0] == "paddle" and getattr(module, "__dict__", {}).get(name) is function:
            setattr(module, name, other)


def model_files(prefix, options):
    """Absolute paths of a model's files, as far as they are known and there."""
    prefix = os.path.abspath(prefix)
    names = [options.get(name) for name in ("model_filename", "params_filename")]
    paths = [os.path.join(prefix, name) for name in names if isinstance(name, str)]
    paths = paths or [prefix + ending for ending in (".pdmodel", ".json", ".pdiparams")]
    return [path for path in paths if os.path.exists(path)]


def predictor_line(files, optimised=False, settings=None):
    line = {"event": "predictor", "files": files, "optimised": optimised}
    return line if settings is None else {**line, "settings": settings}


def _number(name, default):
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


class Store:
    """Where the calls of this process go; `folder` is absolute and exists. Raises OSError if it cannot be written."""

    def __init__(self, folder, paddle):
        self.folder, self.paddle, self.local = folder, paddle, Local()
        self.images = _number("TIPC_OBSERVE_IMAGES", IMAGES)
        self.megabytes = _number("TIPC_OBSERVE_MEGABYTES", MEGABYTES)
        self.networks = Known()  # (name, the line about it, `changes` at that time)
        self.changes = 0  # how often weights were set: a network may have others since then
        self._reset()
        self._begin()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self._end)

    def _reset(self):
        """Begin without a file: one is made for the first call of a forked process."""
        self.lock, self.stem, self.over = threading.RLock(), None, False
        self.calls, self.written, self.losses = 0, 0, set()
        self.named, self.full = 0, False
        self.sample = Sample(self.images, self.megabytes << 20)
        self.networks.clear()

    def _begin(self):
        pid, again = os.getpid(), 0
        while self.stem is None:  # the number may have been another process's, or ours before an exec
            stem = f"{pid}_{again}" if again else str(pid)
            try:
                os.close(os.open(self.path_of(f"{stem}.jsonl"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
                self.stem = stem
            except FileExistsError:
                again += 1
        version = str(getattr(self.paddle, "__version__", ""))
        argv = list(map(str, getattr(sys, "argv", [])))
        sizes = {"images": self.images, "megabytes": self.megabytes}
        self.write({"event": "process", "pid": pid, "argv": argv, "paddle": version, **sizes})

    def _end(self):
        if self.stem is not None and not self.over:
            self.attempt(self.write, {"event": "end", "calls": self.calls})

    def attempt(self, action, /, *values, **named):
        """Do something for the recording. Returns None, and notes why, if it fails: the script never knows."""
        was, self.local.busy = self.local.busy, True
        try:
            return None if self.over else action(*values, **named)
        except Exception as error:
            self.lose(error)
        finally:
            self.local.busy = was
        return None

    def lose(self, why):
        """Note that something could not be recorded; a line that cannot be written ends the recording."""
        try:
            why = f"{type(why).__name__}: {why}"[:300] if isinstance(why, Exception) else why
            if self.stem is not None and why not in self.losses and len(self.losses) < MOST_LOSSES:
                self.losses.add(why)
                self.write({"event": "lost", "why": why})
        except Exception:
            self.over = True

    def write(self, event):
        """Add a line, whole or not at all. Raises OSError."""
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        with self.lock:
            if self.stem is None:
                self._begin()
            if self.written + len(line) > max(self.megabytes, 1) << 20:
                self.over = True
                line = b'{"event":"lost","why":"more lines than megabytes allow"}\n'
            file = os.open(self.path_of(f"{self.stem}.jsonl"), os.O_WRONLY | os.O_APPEND)
            try:
                before = os.fstat(file).st_size
                if os.write(file, line) != len(line):
                    os.ftruncate(file, before)
                    raise OSError("No space left on device")
            finally:
                os.close(file)
            self.written += len(line)

    def name_of(self, network, kind, event):
        """The name of a network or an engine; `event()`, the line about it, is written when it is another one now."""
        with self.lock:
            name, known, changes = self.networks.get(network) or (None, None, None)
            if changes == self.changes:
                return name
            changes, line = self.changes, event()
            if line != known:
                if self.stem is None:
                    self._begin()
                name, self.named = f"{self.stem}-{kind}{self.named}", self.named + 1
                self.write({"event": line["event"], "network": name, **line})
            self.networks.put(network, (name, line, changes))
        return name

    def record(self, kind, network, inputs, outputs, **more):
        """Write one call; `inputs` and `outputs` are (name, array, dtype), see arrays.to_arrays."""
        batch = batch_of(inputs)
        said = {"inputs": describe(inputs, batch), "outputs": describe(outputs, batch)}
        with self.lock:
            file = self._keep((network, more["training"]), inputs, outputs, said["inputs"])
            head = {"event": "call", "number": self.calls, "kind": kind, "network": network}
            self.write({**head, **more, "batch": batch, **said, "file": file})
            self.calls += 1

    def new_file(self, ending, size):
        """The name of a file for what goes on in the next call. Raises OSError where the disk has no room for it."""
        self._check_room(size)
        with self.lock:
            if self.stem is None:
                self._begin()
            return f"{self.stem}_{self.calls}{ending}"

    def path_of(self, name):
        """Where a file of the recording is."""
        return os.path.join(self.folder, name)

    def _check_room(self, size):
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < size + SPARE:
            raise OSError("the disk is nearly full: no more arrays")

    def _keep(self, who, inputs, outputs, said):
        """The name of the new npz, or None; those that go for it are removed."""
        arrays = {f"in{place}": array for place, (_, array, _) in enumerate(inputs)}
        arrays.update({f"out{place}": array for place, (_, array, _) in enumerate(outputs)})
        size = sum(array.nbytes + 512 for array in arrays.values())
        rows = [entry["rows"] for entry in said if entry["rows"]]
        whole = join(sorted(entry["hash"] for entry in said))  # engines order their inputs in their own way
        images = map("".join, zip(*rows)) if rows else [whole]
        file = f"{self.stem}_{self.calls}.npz"
        if self.full:
            return None
        kept, dropped = self.sample.offer((whole, who), images, size, file)
        for other in dropped:
            self.write({"event": "dropped", "file": other})
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path_of(other))
        return file if kept and self._save(file, arrays, size) else None

    def keep(self, ending, arrays):
        """Save arrays that belong to no call as `<stem>_<ending>.npz`; its name, or None where there is no room."""
        with self.lock:
            if self.stem is None:
                self._begin()
            file, size = f"{self.stem}_{ending}.npz", sum(array.nbytes + 512 for array in arrays.values())
            return file if not self.full and self._save(file, arrays, size) else None

    def _save(self, file, arrays, size):
        part = self.path_of(file + ".part")
        try:
            self._check_room(size)
            with open(part, "wb") as stream:
                np.savez(stream, **arrays)
            os.replace(part, self.path_of(file))
            return True
        except OSError as error:
            self.full = True
            self.lose(error)
            if os.path.exists(part):
                os.unlink(part)
        return False
