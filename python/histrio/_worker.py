"""A worker process: actors, and the threads that run their handlers.

One thread has the role of the dispatcher: it reads the port and runs plain handlers, one after the other. Classes with async
methods live in the thread of an event loop (_loop_thread.py). A plain handler that blocks in `.result()` reads the port
itself; when a message for another actor comes meanwhile, it gives the role to another thread and waits for its answer only. Another thread
also runs what found the page full, when there is room, as the dispatcher may be asleep then. What handlers send and do not wait for is written
when all that came was handled, or a moment later by a thread of its own (_flusher.py).

Invariants:
1. Exactly one thread has the role. Only it reads the port and writes entry 0 of the page.
2. Lanes change hands under `lock`; no handler runs under it.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import signal
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import _carry as carry
from . import _circles as circles
from . import _codec as codec
from . import _frames as frames
from . import _handling as handling
from . import _logs as logs
from ._call import Call
from ._cell import Cell, Delivery
from ._deliveries import Deliveries
from ._errors import BadArgument, Denied, StartFailed, SystemClosed
from ._flusher import Flusher
from ._frames import Closed, Frame
from ._options import Address
from ._page import page_of
from ._runtime import Execution, enter, executing

if TYPE_CHECKING:
    import asyncio

APART_NS = 100_000  # what a slow handler sends in quick succession is written at once
IDLE_LANES_MAX = 4


_lanes = itertools.count(1)


class Lane:
    """A thread that can have the role."""

    def __init__(self) -> None:
        self.number = next(_lanes)
        self.wake = threading.Semaphore(0)


class Worker(Deliveries):
    """The runtime of a worker process."""

    def __init__(self, port: Any, page: Any) -> None:
        super().__init__(port, page)
        self._here = threading.local()
        self._role: Lane | None = None
        self._idle: list[Lane] = []
        self._resumed: deque[tuple[Cell, Delivery]] = deque()
        self.flusher = Flusher(self._flush_aside)
        self._written = 0  # when a handler had something written
        self._is_fork = False
        port.serve(page, Execution, executing.set, self._finish_compiled, self._attend, handling.finish_lines)
        os.register_at_fork(after_in_child=self._forked)

    # ---- dispatching ----

    def run(self) -> None:
        """The life of the process; returns when the node closed the socket."""
        self.hello("worker")
        lane = Lane()
        self._here.lane = lane
        self._role = lane
        self.port.role = lane.number
        self._live(lane)

    def _live(self, lane: Lane) -> None:
        """A lane: dispatches while it has the role, and waits to be given it, or a delivery that was starved."""
        while True:
            self._dispatch(lane)
            self._run_resumed()
            with self.lock:
                if len(self._idle) >= IDLE_LANES_MAX and threading.current_thread() is not threading.main_thread():
                    return
                self._idle.append(lane)
            lane.wake.acquire()

    def _dispatch(self, lane: Lane) -> None:
        try:
            while self._role is lane:
                while self.ready:
                    self._run(*self.ready.popleft())
                    if self._role is not lane:
                        return
                self._accept_all(self.port.next(lane.number))
        except Closed:
            self.leave()

    def _accept_all(self, came: list[Frame]) -> None:
        for frame in came:
            self._accept(frame)
        self.loop_thread.submit()

    def _accept(self, frame: Frame) -> None:
        """A frame of the node. Runs no handler."""
        kind = frame.kind
        if kind in (frames.REPLY, frames.ERROR):
            self.answered(frame)
            return
        if kind == frames.CANCEL:
            self.cancel_delivery(frame.number)
            return
        if kind == frames.WELCOME:
            self.welcomed(frame)
            return
        if kind == frames.DROP:
            cell = self.cells.get(frame.actor)
            if cell is not None:
                self.end(cell)
            return
        if kind == frames.SNAPSHOT:
            self.snapshots[frame.actor] = frame.payload
            return
        delivery = Delivery(frame, self.now())
        if kind == frames.START:
            cell = self.cells[frame.actor] = Cell(self, frame.actor, Address("", frame.node, frame.id))
            cell.snapshot = self.snapshots.pop(frame.actor, None)
        else:
            cell = self.cells.get(frame.actor)
            if cell is None or cell.ended:
                return  # it has failed, and this was on its way
            if cell.behavior is not None:
                delivery.message = cell.behavior.messages.get(frame.method)
        self._offer(cell, delivery)

    def _offer(self, cell: Cell, delivery: Delivery) -> None:
        with self.lock:
            self.open[delivery.number] = cell, delivery
            begins = cell.take(delivery)
        if delivery.kind == frames.STOP and not begins:
            self.loop_thread.drop_streams(cell)
        if begins:
            self._schedule(cell, delivery)
        elif delivery.is_ask:
            circles.look_for(self, cell, delivery)

    def _schedule(self, cell: Cell, delivery: Delivery) -> None:
        if delivery.kind == frames.START:
            try:
                handling.load(self, cell, delivery)
            except BaseException as error:
                self._load_failed(cell, delivery, error)
                return
        if cell.on_loop:
            self.loop_thread.add(cell, delivery)
        else:
            self.ready.append((cell, delivery))

    def _load_failed(self, cell: Cell, delivery: Delivery, error: BaseException) -> None:
        why = str(error) if isinstance(error, StartFailed) else codec.where(error)
        logs.log(self.port, logs.ERROR, f"an actor could not be started: {why}", cell.slot)
        self.fail(cell, why, delivery)

    def _run(self, cell: Cell, delivery: Delivery | None) -> None:
        """Runs a delivery, and those of the same actor that waited for its end."""
        while delivery is not None and not cell.ended:
            if not self.begin(cell, delivery):
                return
            now = time.monotonic_ns()
            if self.port.pending() and (delivery.message is None or delivery.message.slow):
                self.flush()
            if self._role is self._here.lane:
                self.page.on_stack(delivery.number)
                self.port.slow = delivery.message is None or delivery.message.slow
            value: Any = None
            error: BaseException | None = None
            try:
                handling.prepare(self, cell, delivery)
                token = executing.set(delivery.execution)
                carried = carry.enter(delivery.carried)
                try:
                    value = handling.call(self, cell, delivery)
                except BaseException as raised:
                    error = raised
                finally:
                    handling.finish_lines()
                    carry.leave(carried)
                    executing.reset(token)
            except BaseException as raised:
                error = raised
            if self._is_fork:
                self._end_of_fork()
            if delivery.message is not None:
                delivery.message.slow = time.monotonic_ns() - now > 100_000
            self.finish(cell, delivery, value, error)
            if self._role is self._here.lane:
                self.page.on_stack(0)
            else:
                self.flush()
            delivery = self.next(cell)

    # ---- what the compiled loop leaves to us ----

    def _finish_compiled(self, cell: Cell, frame: Frame, entry: int, value: Any, error: BaseException | None, call: Any,
                         pickled: bool) -> None:
        """A handler raised, or returned what cannot be sent."""
        if self._is_fork:
            self._end_of_fork()
        delivery = Delivery(frame, self.now())
        assert cell.behavior is not None
        delivery.message = cell.behavior.messages[frame.method]
        delivery.execution, delivery.entry, delivery.pickled = executing.get(), entry, pickled
        delivery.args, delivery.kwargs = call[0], call[1]
        with self.lock:
            self.open[delivery.number] = cell, delivery
            cell.begin(delivery)
        if isinstance(error, TypeError) and error.__traceback__ is None:
            try:
                handling.check_arguments(delivery, delivery.message)
            except BadArgument as wrong:
                error = wrong.with_traceback(None)
        self.finish(cell, delivery, value, error)

    def _attend(self, cell: Cell) -> None:
        """A handler of the compiled loop is over, and something came up meanwhile."""
        if cell.stopping is not None and not cell.ended and not cell.active:
            self.stop_actor(cell, cell.stopping)
        self._run(cell, self.next(cell))
        if self.starved:
            self._begin_starved()

    # ---- waiting in handlers ----

    def _slot(self, execution: Execution | None) -> int:
        if execution is None:
            raise Denied("only actors send, in their handlers: run what a thread of your own does by asyncio.to_thread(), or in "
                         "contextvars.copy_context().run()")
        return super()._slot(execution)

    def sent(self, is_much: bool = False) -> None:
        if is_much:
            self.flush()
            return
        lane = getattr(self._here, "lane", None)
        if lane is not None and lane is self._role:
            if self.port.slow:
                now = time.monotonic_ns()
                if now - self._written > APART_NS:
                    self._written = now
                    self.flush()
                    return
            if not self.flusher.wanted:  # the end of the batch is soon enough for quick handlers, but this may be the first that is slow
                self.flusher.soon()
        elif self.loop_thread.is_current():
            self.loop_thread.flush_soon()
        else:
            self.flush()

    def _flush_aside(self) -> None:
        try:
            self.flush()
        except Closed:
            self.leave()

    def attach(self, loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
        lane = getattr(self._here, "lane", None)
        if lane is not None and lane is self._role and not self.loop_thread.is_current():
            raise RuntimeError("an event loop in a plain handler would wait for ever: use .result() in it, or make the method async")
        circles.awaits(self, call)

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        if self.loop_thread.is_current():
            raise RuntimeError(".result() would block the event loop of this worker: use await in an async method")
        circles.awaits(self, call)
        self.flush()
        lane: Lane | None = getattr(self._here, "lane", None)
        if lane is not None and lane is self._role:
            self.page.on_stack(0)
            if not self._read_until(call, deadline, lane):
                return False
            if call.done():
                if self._role is lane:
                    self.page.on_stack(self._number_here())
                return True
        over = threading.Lock()
        over.acquire()
        call.add_done_callback(over.release)
        return over.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic()))

    def _read_until(self, call: Call[Any], deadline: float | None, lane: Lane) -> bool:
        """Reads until the call is done (True) or its time over (False); also True: another thread has the role now."""
        while not call.done():
            if self.ready:
                self._hand_over()
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                self.page.on_stack(self._number_here())
                return False
            try:
                self._accept_all(self.port.read(self.slice_of(left), self.requests))
                self.flush()
            except Closed:
                self.leave()
        return True

    def _hand_over(self) -> None:
        """Another thread dispatches from now on."""
        with self.lock:
            lane = self._idle.pop() if self._idle else None
            given = self._role = lane or Lane()
            self.port.role = given.number
        self._wake(given, lane is None)

    def resume(self, cell: Cell, delivery: Delivery) -> None:
        """By a thread without the role: who has it may sleep in the port, where nobody but the node wakes it."""
        self._resumed.append((cell, delivery))
        with self.lock:
            lane = self._idle.pop() if self._idle else None
        self._wake(lane or Lane(), lane is None)

    def _run_resumed(self) -> None:
        while True:
            try:
                cell, delivery = self._resumed.popleft()
            except IndexError:
                return
            try:
                self._run(cell, delivery)
            except Closed:
                self.leave()

    def _wake(self, lane: Lane, is_fresh: bool) -> None:
        if is_fresh:
            threading.Thread(target=self._lane_main, args=(lane,), name="histrio-lane", daemon=True).start()
        else:
            lane.wake.release()

    def _lane_main(self, lane: Lane) -> None:
        self._here.lane = lane
        self._live(lane)

    def _number_here(self) -> int:
        execution = executing.get()
        return 0 if execution is None else execution.number

    # ---- ends ----

    def _forked(self) -> None:
        """In a child that an actor forked: it is no worker. Nothing of it may reach the node."""
        self._is_fork = True
        self.page.forget()
        self.flusher.forget()
        self.closed = SystemClosed("this process was forked by an actor, and is no actor")
        self.port.abandon()

    def _end_of_fork(self) -> None:
        os.write(2, b"histrio: a process that an actor forked came back out of its handler; it ends here\n")
        os._exit(70)


def serve(data_fd: int, page_fd: int, trace_fd: int, worker_number: int = 0) -> None:
    """The rest of this process: a worker on these descriptors."""
    codec.ship_by_value(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if trace_fd >= 0:
        faulthandler.enable(trace_fd, all_threads=True)
        faulthandler.register(signal.SIGUSR1, trace_fd, all_threads=True, chain=False)
    sock = socket.socket(fileno=data_fd)
    worker = Worker(frames.port_of(sock), page_of(page_fd))
    logs.install(worker.port, worker.flusher.soon)
    enter(worker)
    code = 0
    try:
        worker.run()
    except BaseException:
        import traceback

        os.write(2, codec.utf8(traceback.format_exc()))
        code = 1
    os._exit(code)
