"""The worker's dispatch without its process, threads and socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _circles as circles
from .._buffers import inlined
from .._call import Call
from .._errors import SystemClosed
from .._frames import Frame
from .._loop_thread import LoopThread, make_task
from .._page import Page
from .._worker import Lane, Worker
from ._clock import StepLoop

if TYPE_CHECKING:
    import asyncio

    from .._cell import Cell, Delivery
    from ._node import Node


class Wire:
    """A port whose other end is a function."""

    def __init__(self, receive: Callable[[Frame], None]) -> None:
        self._receive = receive
        self.role = 0
        self.slow = True
        self.starving = False

    def send(self, kind: int, code: int = 0, actor: int = 0, method: str = "", number: int = 0, timeout_ms: int = 0,
             name: str = "", node: int = 0, id: int = 0, payload: bytes = b"") -> bool:
        self._receive(Frame(kind, code, actor, method, number, timeout_ms, name, node, id, inlined(payload)))
        return False

    def serve(self, *_: Any) -> None:
        pass

    def pending(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def abandon(self) -> None:
        pass


class StepLoopThread(LoopThread):
    """No thread: a loop that the node steps."""

    def __init__(self, worker: Worker, loop: StepLoop) -> None:
        super().__init__(worker)
        self._loop: asyncio.AbstractEventLoop | None = loop
        self.step_loop = loop
        loop.set_task_factory(make_task)

    def is_current(self) -> bool:
        return self.step_loop.is_stepping

    def flush_soon(self) -> None:
        pass


class StepWorker(Worker):
    """Runs a delivery when it is told to; `.result()` in a handler lets the node go on meanwhile."""

    def __init__(self, node: Node, loop: StepLoop) -> None:
        super().__init__(Wire(node.from_worker), Page())
        self._node = node
        self.loop_thread: LoopThread = StepLoopThread(self, loop)
        self._gates = None
        self._role = self._here.lane = Lane()

    def now(self) -> float:
        return self._node.clock.now

    def take(self, frame: Frame) -> None:
        self._accept_all([frame])

    def run_one(self) -> bool:
        if not self.ready:
            return False
        self._run(*self.ready.popleft())
        self.page.clear(self.page.take_over())
        self.loop_thread.submit()
        return True

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        if self.loop_thread.is_current():
            raise RuntimeError(".result() would block the event loop of this worker: use await in an async method")
        circles.awaits(self, call)
        return self._node.wait(call, None if deadline is None else deadline - time.monotonic())

    def sent(self, is_much: bool = False) -> None:
        pass

    def soon(self, function: Callable[[], None]) -> None:
        function()  # there is one thread, and it holds no lock

    def resume(self, cell: Cell, delivery: Delivery) -> None:
        self.ready.append((cell, delivery))

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self._node.clock.after(seconds, function)

    def leave(self) -> None:
        self.over(SystemClosed("the system was closed"))
