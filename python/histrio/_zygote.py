"""The process from which workers are forked: python -m histrio._zygote, with a socket in HISTRIO_ZYGOTE_FD (docs/host.md).

It has imported what the app needs, so a worker starts in about a millisecond and shares that memory. It never has threads of
its own; when a module of the app has started some, a fork would copy their locks, so workers are executed anew.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from . import _app as app
from . import _codec as codec
from ._actor import Actor
from ._behavior import behavior_of
from ._frames import compiled
from ._worker import serve

MESSAGE_MAX = 1 << 16


class Zygote:
    """Owned by the only thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._setup: dict[str, Any] = {"path": [], "preload": [], "script": None}
        self._forks = True
        self._workers: dict[int, int] = {}
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._wake.setblocking(False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Serves until the node closes the socket."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake.fileno():
                    self._wake.recv(4096)
                    self._reap()
                elif not self._serve_one():
                    return

    def _serve_one(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._sock, MESSAGE_MAX, 8)
        if not data:
            return False
        message = codec.unpack(data)
        if message["kind"] == "setup":
            self._set_up(message)
        elif message["kind"] == "fork":
            self._start(message["worker"], fds)
        return True

    def _say(self, kind: str, **told: Any) -> None:
        try:
            self._sock.send(codec.pack({"kind": kind, **told}, kind))
        except OSError:
            os._exit(0)  # the node is gone

    def _set_up(self, message: dict[str, Any]) -> None:
        self._setup = {name: message.get(name) for name in self._setup}
        culprit = app.set_up(message.get("path") or [], message.get("preload") or [], message.get("script"),
                             lambda why: self._say("failed", why=why))
        _make_ready()
        gc.collect()
        gc.freeze()
        self._forks = not culprit
        why = f"{culprit} has started threads, so workers are executed instead of forked" if culprit else ""
        self._say("ready", forks=self._forks, why=why)

    def _start(self, worker: int, fds: list[int]) -> None:
        data, page, trace, output = fds
        for fd in (1, 2):  # what was printed by imports must not come once more from each child
            (sys.stdout if fd == 1 else sys.stderr).flush()
        pid = self._fork(data, page, trace, output) if self._forks else self._execute(data, page, trace, output)
        self._workers[pid] = worker
        for fd in fds:
            os.close(fd)
        self._say("forked", worker=worker, pid=pid)

    def _fork(self, data: int, page: int, trace: int, output: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        app.die_with_parent()
        self._sock.close()
        self._wake.close()
        self._waker.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed()  # else all workers draw the same numbers
        serve(data, page, trace)
        os._exit(0)

    def _execute(self, data: int, page: int, trace: int, output: int) -> int:
        # dup2 in the child leaves them open over exec; the first free numbers above the highest cannot collide.
        first = max(data, page, trace, output) + 1
        moves = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        moves += [(os.POSIX_SPAWN_DUP2, fd, first + i) for i, fd in enumerate((data, page, trace))]
        environment = {**os.environ, "HISTRIO_WORKER": json.dumps({"fds": [first, first + 1, first + 2], **self._setup})}
        return os.posix_spawn(sys.executable, [sys.executable, "-P", "-m", "histrio._executed"], environment, file_actions=moves)

    def _reap(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is not None:
                self._say("died", worker=worker, pid=pid, status=status)


def _make_ready() -> None:
    """What each worker would do first is done once, here: that is less time and memory for each."""
    compiled()
    codec.decode_call(codec.unpack(codec.pack(codec.encode_call((), {}, None, ""), "a call")))
    classes: list[type] = [Actor]
    while classes:
        cls = classes.pop()
        with contextlib.suppress(Exception):  # what is wrong with it is told when it is started
            behavior_of(cls)
        classes += cls.__subclasses__()


def main() -> None:
    app.die_with_parent()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # numerical libraries start threads when they are imported
    fd = int(os.environ.pop("HISTRIO_ZYGOTE_FD"))
    os.set_inheritable(fd, False)
    Zygote(socket.socket(fileno=fd)).run()


if __name__ == "__main__":
    main()
