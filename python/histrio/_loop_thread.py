"""The thread of the event loop, where actors with async methods live."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from . import _carry as carry
from . import _codec as codec
from . import _handling as handling
from . import _logs as logs
from ._cell import Cell, Delivery
from ._frames import Closed
from ._runtime import Execution, executing

if TYPE_CHECKING:
    import asyncio

    from ._deliveries import Deliveries


class Step(Coroutine[Any, Any, None]):
    """A handler's coroutine; the page says while it is on the stack."""

    __slots__ = ("_inner", "_page")

    def __init__(self, inner: Coroutine[Any, Any, None], page: Any) -> None:
        self._inner = inner
        self._page = page

    def send(self, value: Any) -> Any:
        self._page.in_loop(True)
        try:
            return self._inner.send(value)
        finally:
            self._page.in_loop(False)

    def throw(self, *error: Any) -> Any:
        self._page.in_loop(True)
        try:
            return self._inner.throw(*error)
        finally:
            self._page.in_loop(False)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        raise TypeError("a task only")


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **told: Any) -> Any:
    """The task factory of actors' loops: an actor's tasks are noted at its cell, and end with it.

    Handlers themselves are tasks that are made without it. What this package runs in between ends by itself, as it must: it closes generators
    when the actor stops.
    """
    from asyncio import Task

    task: Any = Task(coroutine, loop=loop, **told)
    context = told.get("context")
    execution = executing.get() if context is None else context.get(executing)
    if execution is not None and execution.cell is not None and not _is_ours(coroutine):
        execution.cell.note_task(task)
    return task


def _is_ours(coroutine: Any) -> bool:
    code = getattr(coroutine, "cr_code", None)
    return code is not None and str(code.co_filename).startswith(_HERE)


_HERE = __file__.rpartition("/")[0] + "/"


def _cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in list(tasks):
        task.cancel()


class LoopThread:
    """Starts with the first actor that needs it."""

    def __init__(self, worker: Deliveries) -> None:
        self._worker = worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._added: list[tuple[Cell, Delivery]] = []
        self._flushes = False
        self._context = contextvars.copy_context()

    def is_current(self) -> bool:
        return self._thread is not None and threading.current_thread() is self._thread

    def add(self, cell: Cell, delivery: Delivery) -> None:
        """To be run after the next submit()."""
        self._added.append((cell, delivery))

    def submit(self) -> None:
        if self._added:
            added, self._added = self._added, []
            self._start().call_soon_threadsafe(self._begin_all, added)

    def cancel(self, delivery: Delivery) -> None:
        """Any thread: the handler gets CancelledError at its await."""
        if self._loop is not None and delivery.task is not None:
            self._loop.call_soon_threadsafe(delivery.task.cancel)

    def cancel_tasks(self, cell: Cell) -> None:
        """Any thread: the actor has ended, and so do its tasks. One that is made from now on is part of how those end."""
        if cell.tasks is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(_cancel_all, cell.tasks)

    def drop_streams(self, cell: Cell) -> None:
        """The actor is to stop, which waits for what it does: generators would never be done."""
        if self._loop is not None:
            for stream in cell.open_streams():
                self._loop.call_soon_threadsafe(stream.drop)

    def stop(self, cell: Cell, reason: str) -> None:
        """The actor asked to be stopped; its hook may be async."""
        loop = self._start()
        loop.call_soon_threadsafe(lambda: self._task(loop, self._stop(cell, reason)))

    def flush_soon(self) -> None:
        """Writes what was sent, once the handlers that can run have run."""
        if not self._flushes and self._loop is not None:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushes = False
        try:
            self._worker.flush()
        except Closed:
            self._worker.leave()

    def _start(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
            self._loop.set_task_factory(make_task)
            self._thread = threading.Thread(target=self._main, args=(self._loop,), name="histrio-loop", daemon=True)
            self._thread.start()
        return self._loop

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        while not loop.is_closed():
            try:
                loop.run_forever()
            except BaseException as error:  # SystemExit in a task of some actor, which tells all but asyncio: others live in this loop, too
                logs.log(self._worker.port, logs.ERROR, f"a task of an actor ended by {codec.where(error)}")
                self.flush_soon()

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that is not noted, with none of the context variables of whoever makes it: that may be the handler before, or one of another
        actor that waits and reads the port."""
        from asyncio import Task

        return Task(coroutine, loop=loop, context=self._context.copy())

    def _begin_all(self, added: list[tuple[Cell, Delivery]]) -> None:
        for cell, delivery in added:
            self._begin(cell, delivery)
        self.flush_soon()

    def _begin(self, cell: Cell, delivery: Delivery) -> None:
        if cell.ended or not self._worker.begin(cell, delivery):
            return
        assert self._loop is not None
        delivery.task = self._task(self._loop, Step(self._perform(cell, delivery), self._worker.page))
        if delivery.cancelled:
            delivery.task.cancel()

    async def _perform(self, cell: Cell, delivery: Delivery) -> None:
        from asyncio import CancelledError

        value: Any = None
        error: BaseException | None = None
        try:
            handling.prepare(self._worker, cell, delivery)
            executing.set(delivery.execution)
            carry.enter(delivery.carried)  # this task's only
            value = handling.call(self._worker, cell, delivery)
            if handling.is_coroutine(value):
                value = await value
        except CancelledError as raised:
            error = handling.Expired() if delivery.cancelled else raised
        except BaseException as raised:
            error = raised
        handling.finish_lines()
        self._worker.finish(cell, delivery, value, error)
        following = self._worker.next(cell)
        while following is not None:
            self._begin(cell, following)
            following = self._worker.next(cell)
        self.flush_soon()

    async def _stop(self, cell: Cell, reason: str) -> None:
        executing.set(Execution(cell))  # this task's only
        try:
            value = handling.stop(cell, reason)
            if handling.is_coroutine(value):
                await value
        except BaseException as error:
            reason = codec.where(error)
        self._worker.fail(cell, reason, None)
        self.flush_soon()
