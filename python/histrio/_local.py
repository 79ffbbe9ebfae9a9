"""histrio.local(): a node on this machine for one program."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Sequence

from . import _app as app
from ._errors import NodeNotFound
from ._options import Duration, milliseconds, seconds
from ._runtime import Runtime, enter
from ._system import System

if TYPE_CHECKING:
    import subprocess

    from ._script import Script
    from ._watch import Watch

START_SECONDS = 60.0
STOP_SECONDS = 15.0
MEMORY_LEAST = 16 << 20  # as in manifests


class Local(System):
    """A node, and worker processes beside it, that end with this block (or this program)."""

    _runtime: Script

    def __init__(self, workers: int | None, timeout: Duration, preload: Sequence[str], node: str | None,
                 handler_timeout: Duration | None, memory: int | None) -> None:
        self._workers = workers or per_cpu()
        self._timeout = seconds(timeout)
        self._preload = list(preload)
        self._program = node
        self._limits: dict[str, str] = {}
        if handler_timeout is not None:
            self._limits["HISTRIO_PYTHON_HANDLER_TIMEOUT_MS"] = str(milliseconds(handler_timeout))
        if memory is not None:
            self._limits["HISTRIO_PYTHON_MEMORY_BYTES"] = str(memory)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: threading.Thread | None = None

    def __getattr__(self, name: str) -> Any:
        if name in ("_runtime", "_histrio_spawner"):
            raise RuntimeError("this system was not opened: write `with histrio.local() as system:`, or `async with`")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<histrio.local with {self._workers} workers>"

    def _open(self) -> Runtime:
        import subprocess

        from ._output import relay
        from ._script import Script

        if app.is_importing():
            raise app.MainPart
        program = find_node(self._program)
        ours, theirs = socket.socketpair()
        try:
            # A session of its own: Ctrl-C is for this program, and the node ends when our socket does.
            self._process = subprocess.Popen(
                [program, "--script", str(theirs.fileno())], pass_fds=[theirs.fileno()], start_new_session=True,
                env={**os.environ, **self._environment()}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            ours.close()
            raise NodeNotFound(f"{program} cannot be started: {error}") from error
        finally:
            theirs.close()
        assert self._process.stdout is not None
        self._output = relay(self._process.stdout)
        script = Script(ours, self._timeout)
        try:
            script.open(START_SECONDS)
        except BaseException:
            ours.close()
            self._end_process()
            raise
        return script

    def _environment(self) -> dict[str, str]:
        told = {
            "HISTRIO_PYTHON": sys.executable,
            "HISTRIO_PYTHON_PATH": json.dumps([os.path.abspath(folder) for folder in sys.path]),
            "HISTRIO_PYTHON_PRELOAD": json.dumps(self._preload),
            "HISTRIO_PYTHON_WORKERS": str(self._workers),
            "HISTRIO_WORKERS": "1",
            "HISTRIO_LOG_LEVEL": os.environ.get("HISTRIO_LOG_LEVEL", "info"),
            **self._limits,
        }
        ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if os.path.basename(ours) not in ("site-packages", "dist-packages"):  # not installed: the zygote must find it all the same
            told["PYTHONPATH"] = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))
        script = app.script_of_this_process()
        if script is not None:
            told["HISTRIO_PYTHON_SCRIPT"] = script
        return told

    def watch(self, ref: object) -> Watch:
        from ._watch import Watch

        return Watch(self._runtime.watches, ref)

    def _close(self) -> None:
        self._runtime.close()
        self._end_process()

    def _end_process(self) -> None:
        import subprocess

        process, self._process = self._process, None
        if process is None or self._output is None:
            return
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._output.join(1.0)

    async def __aenter__(self) -> Self:
        import asyncio

        self._runtime = self._histrio_spawner = await asyncio.to_thread(self._open)  # type: ignore[assignment]
        enter(self._runtime)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        import asyncio

        await asyncio.to_thread(self.close)


def local(workers: int | None = None, *, timeout: Duration = 60.0, preload: Sequence[str] = (), node: str | None = None,
          handler_timeout: Duration | None = None, memory: int | None = None) -> Local:
    """A system on this machine, for `with` and `async with`.

    workers: worker processes for shared actors; by default as many as there are cores for this process. timeout: how long asks
    may take, unless they say otherwise. preload: modules that are imported before workers are forked. node: the program
    histrio-node, when it is not where it is looked for: in HISTRIO_NODE, in this package, in PATH. handler_timeout: a handler that
    runs longer ends its worker process. memory: how many bytes a worker process may use. Without them there is no limit.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}: it is at least 1")
    if handler_timeout is not None and seconds(handler_timeout) <= 0:
        raise ValueError(f"handler_timeout={handler_timeout}: it is above 0")
    if memory is not None and not isinstance(memory, int):
        raise TypeError(f"memory={memory!r}: it is a number of bytes")
    if memory is not None and memory < MEMORY_LEAST:
        raise ValueError(f"memory={memory}: it is a number of bytes, at least 16 MiB")
    return Local(workers, timeout, preload, node, handler_timeout, memory)


def per_cpu() -> int:
    """How many cores this process may use, the limit of its cgroup included."""
    cores = len(os.sched_getaffinity(0))
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def find_node(program: str | None) -> str:
    """The path of histrio-node; NodeNotFound says what to do."""
    import shutil

    told = program or os.environ.get("HISTRIO_NODE") or os.environ.get("HISTRIO_NODE_PROGRAM")
    if told:
        found = shutil.which(told)
        if found is None:
            raise NodeNotFound(f"{told} is no program that can be run (node=, or HISTRIO_NODE)")
        return found
    inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "histrio-node")
    if os.access(inside, os.X_OK):
        return inside
    found = shutil.which("histrio-node")
    if found is None:
        raise NodeNotFound(
            "the program histrio-node is not in PATH, and HISTRIO_NODE does not name it: build it with ./dev build in a clone of "
            "Histrio, and set HISTRIO_NODE=.../build/release/bin/histrio-node"
        )
    return found

