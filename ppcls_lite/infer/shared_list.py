"""One list of images shared among the processes that paddle.distributed.launch has started.

Each process predicts a run of whole batches, the very batches of a single process, so that the results are the same to
the last bit. Process 0 puts all results together in the order of the list. The others keep theirs in a temporary file
of their own, and send it when process 0 has written its part: no process holds more than a batch of results in memory,
and the machines need no common disk. They talk through the address that the launcher has reserved for process 0, by
plain sockets, without Paddle: one JSON text per line, `[images, printed, saved, errors]` for a batch, and an object at
the end.
"""

import hashlib
import json
import os
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager

from ppcls_lite.infer.error_lines import ErrorLines
from ppcls_lite.utils.errors import UserError

PATIENCE = 300  # seconds that processes wait for each other to appear: machines load a model at different speeds
_HELLO = 10  # seconds for the first line of a connection
_LONGEST = 1 << 26  # bytes of a line


def rank_and_world(environ=os.environ):
    """(number of this process, number of processes); (0, 1) without the launcher."""
    return int(environ.get("PADDLE_TRAINER_ID") or 0), int(environ.get("PADDLE_TRAINERS_NUM") or 1)


def share_of(count, batch_size, rank, world):
    """The slice of `count` images that a process predicts: whole batches, as many as the others' but for one."""
    batches = -(-count // batch_size)
    return slice(rank * batches // world * batch_size, (rank + 1) * batches // world * batch_size)


class SharedList:
    """The images `paths`, of which this process predicts its share; with one process, all of them.

    `failed` counts the files of all processes that are not images; it is complete on process 0 after `results`.
    """

    def __init__(self, paths, batch_size, environ=os.environ):
        self.paths, self.failed = paths, 0
        self.rank, self.world = rank_and_world(environ)
        self.mine = paths[share_of(len(paths), batch_size, self.rank, self.world)]
        if self.world == 1:
            return
        self._digest = _digest(paths, batch_size)
        host, _, port = environ.get("PADDLE_TRAINER_ENDPOINTS", "").split(",")[0].rpartition(":")
        if not port.isdigit():
            raise UserError("PADDLE_TRAINER_ENDPOINTS: expected the addresses of all processes, as the launcher sets")
        self._address = host, int(port)

    def results(self, batches, render):
        """Yield (number of images, printed, saved) for the batches of all processes in the list's order, on process 0.

        `batches` are the batches of `self.mine`, lists of (path, result or UserError); `render(batch)` gives two texts.
        A further process yields nothing: it hands its results over, and comes back when process 0 has used them.
        Raises UserError when another process has ended, or has another list.
        """
        if self.world == 1:
            yield from (message[:3] for message in self._rendered(batches, render))
        elif self.rank == 0:
            yield from self._collect(batches, render)
        else:
            self._hand_over(batches, render)

    def _rendered(self, batches, render):
        for batch in batches:
            errors = [str(result) for _, result in batch if isinstance(result, UserError)]
            self.failed += len(errors)
            yield (len(batch), *render(batch), errors)

    # ---- process 0

    def _collect(self, batches, render):
        with ExitStack() as stack:
            server = stack.enter_context(self._listen())
            yield from (message[:3] for message in self._rendered(batches, render))
            others = {rank: stack.enter_context(one) for rank, one in self._others(server)}
            for rank in sorted(others):
                yield from self._receive(rank, others[rank])
            for one in others.values():
                one.write(b"done\n")
                one.flush()

    def _listen(self):
        try:
            return socket.create_server(self._address, backlog=self.world)
        except OSError as error:
            raise UserError(f"process 0 cannot wait for the others at {self._place()} ({error.strerror})") from error

    def _others(self, server):
        """(rank, stream) of every further process, as they come."""
        missing, end = set(range(1, self.world)), time.monotonic() + PATIENCE
        while missing:
            server.settimeout(max(end - time.monotonic(), 0.01))
            try:
                connection, _ = server.accept()
            except OSError as error:  # it took too long
                names = ", ".join(map(str, sorted(missing)))
                raise UserError(f"process {names} did not appear at {self._place()} in {PATIENCE} seconds") from error
            stream, rank = self._greet(connection)
            if rank in missing:
                missing.remove(rank)
                yield rank, stream
            else:  # not one of ours
                stream.close()

    def _greet(self, connection):
        """The stream of a new connection, and the rank that it states, or None for something else than a process."""
        connection.settimeout(_HELLO)
        _notice_silence(connection)
        with connection:  # the stream keeps it open
            stream = connection.makefile("rwb")
        try:
            hello = json.loads(stream.readline(1000))
            rank, digest = hello["rank"], hello["list"]
        except (OSError, ValueError, TypeError, KeyError):
            return stream, None
        connection.settimeout(None)
        if digest != self._digest:
            raise UserError(f"process {rank} has another list of images, or another batch_size, than process 0")
        return stream, rank

    def _receive(self, rank, stream):
        lines = ErrorLines()
        stream.write(b"send\n")
        stream.flush()
        try:
            for line in iter(lambda: stream.readline(_LONGEST), b""):
                message = json.loads(line)
                if isinstance(message, dict):
                    self.failed += message["failed"]
                    lines.end()
                    return
                *result, errors = message
                for error in errors:
                    lines.show(error)
                yield tuple(result)
        except (OSError, ValueError) as error:
            raise _lost(rank) from error
        raise _lost(rank)

    # ---- the others

    def _hand_over(self, batches, render):
        with self._connect() as connection, tempfile.TemporaryFile() as spool:
            for message in self._rendered(batches, render):
                spool.write(_line(message))
                self._check(connection)
            spool.write(_line({"failed": self.failed}))
            spool.seek(0)
            with _losing_process_0():
                self._expect(connection, b"send\n")
                connection.sendfile(spool)
                self._expect(connection, b"done\n")

    def _connect(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                connection = socket.create_connection(self._address, timeout=PATIENCE)
                break
            except OSError as error:
                if time.monotonic() > end:
                    message = f"process 0 did not appear at {self._place()} in {PATIENCE} seconds ({error})"
                    raise UserError(message) from error
                time.sleep(0.1)
        connection.settimeout(None)
        _notice_silence(connection)
        with _losing_process_0():
            connection.sendall(_line({"rank": self.rank, "list": self._digest}))
        return connection

    @staticmethod
    def _check(connection):
        """UserError when process 0 is gone: what would be predicted from now on would be for nobody."""
        try:
            gone = connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            gone = False
        except OSError:
            gone = True
        if gone:
            raise _lost(0)

    @staticmethod
    def _expect(connection, word):
        received = b""
        while len(received) < len(word):
            part = connection.recv(len(word) - len(received))
            if not part:
                raise _lost(0)
            received += part

    def _place(self):
        return "{}:{}".format(*self._address)


def _digest(paths, batch_size):
    """What two processes have in common if they have the same list and the same batches."""
    digest = hashlib.sha256(str(batch_size).encode())
    for path in paths:
        digest.update(b"\0" + os.fsencode(path))
    return digest.hexdigest()


def _notice_silence(connection):
    """Let the system ask a silent machine whether it is still there: one without power says no goodbye."""
    options = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 6}  # three minutes in all
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in options.items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _line(message):
    return json.dumps(message).encode() + b"\n"


def _lost(rank):
    return UserError(f"process {rank} has ended before the results were complete: its own log says why")


@contextmanager
def _losing_process_0():
    try:
        yield
    except OSError as error:
        raise _lost(0) from error
