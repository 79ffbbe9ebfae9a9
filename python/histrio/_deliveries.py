"""What becomes of deliveries: from the entry in the page that says that one has begun, to the frame that ends it.

The dispatcher (_worker.py) and the thread of the event loop (_loop_thread.py) share this.

Invariants:
1. A delivery is in `open` from the time it came until the frame that ends it was given to the port.
2. Cells and the lists of this class are changed under `lock`; no handler runs under it.
3. While deliveries are starved, no other one gets room in the page before them, but in the compiled loop; who leaves room looks for them.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from typing import Any

from . import _codec as codec
from . import _frames as frames
from . import _handling as handling
from ._behavior import Behavior, behavior_of
from ._cell import Cell, Delivery
from ._errors import SystemClosed
from ._frames import Closed
from ._load import load_class
from ._loop_thread import LoopThread
from ._options import Address
from ._peer import Peer
from ._runtime import Execution, executing


class Deliveries(Peer):
    """The actors of a process and what they were given."""

    def __init__(self, port: Any, page: Any) -> None:
        super().__init__(port)
        self.page = page
        self.cells: dict[int, Cell] = {}
        self.snapshots: dict[int, bytes] = {}  # that came before their START
        self.open: dict[int, tuple[Cell, Delivery]] = {}
        self.ready: deque[tuple[Cell, Delivery]] = deque()
        self.starved: deque[tuple[Cell, Delivery]] = deque()
        self.watched: dict[int, tuple[Cell, Any]] = {}  # by whom, and what: a reference, or whose stream it is
        self._watch_numbers = itertools.count(1)
        self.loop_thread = LoopThread(self)
        self._gates = getattr(frames.compiled(), "Gate", None)
        self._behaviors: dict[str, Behavior] = {}
        self._methods: dict[Behavior, Any] = {}  # for gates

    def behavior(self, name: str) -> Behavior:
        """Of the class with that name, which is looked for once. Raises StartFailed."""
        found = self._behaviors.get(name)
        if found is None:
            found = self._behaviors[name] = behavior_of(load_class(name))
        return found

    def open_gate(self, cell: Cell) -> None:
        """The actor runs: the compiled loop may run its plain handlers by itself."""
        assert cell.behavior is not None
        if self._gates is None or cell.on_loop or codec.is_by_value() or cell.behavior.keeps:
            return
        gate = self._gates(cell, cell.object, self._methods_of(cell.behavior))
        gate.closed = True  # until the start is over
        if self.port.gate(cell.slot, gate):
            cell.gate = gate

    def _methods_of(self, behavior: Behavior) -> Any:
        found = self._methods.get(behavior)
        if found is None:
            functions = {name: message.function for name, message in behavior.messages.items() if not message.is_stream}
            found = self._methods[behavior] = frames.compiled().Methods(functions)
        return found

    def begin(self, cell: Cell, delivery: Delivery) -> bool:
        """Writes the delivery into the page; False: the table is full, and it begins when something else is over."""
        if delivery.entry:
            return True  # it was full, see _begin_starved()
        if not self.starved:
            delivery.entry = self.page.begin(delivery.number)
            if delivery.entry == 0:
                self.flush()
                delivery.entry = self.page.begin(delivery.number)
        if delivery.entry == 0:
            with self.lock:
                self.starved.append((cell, delivery))
                self.port.starving = True
            self._begin_starved()  # what was over before did not know of it
            return False
        return True

    def _begin_starved(self) -> None:
        """Begins what found the table full, in its order, as far as there is room by now."""
        try:
            self.flush()  # which frees the entries of what is over
        except Closed:
            self.leave()
        while True:
            with self.lock:
                while self.starved and self.starved[0][0].ended:
                    self.starved.popleft()
                cell, delivery = self.starved[0] if self.starved else (None, None)
                entry = self.page.begin(delivery.number) if delivery is not None else 0
                if delivery is not None and entry:
                    self.starved.popleft()
                    delivery.entry = entry
                self.port.starving = bool(self.starved)
            if cell is None or delivery is None or not entry:
                return
            if cell.on_loop:
                self.loop_thread.add(cell, delivery)
                self.loop_thread.submit()
            else:
                self.resume(cell, delivery)

    def resume(self, cell: Cell, delivery: Delivery) -> None:
        """Runs a plain handler that has an entry by now; any thread, at any time, may find that out."""
        raise NotImplementedError

    def finish(self, cell: Cell, delivery: Delivery, value: Any, error: BaseException | None) -> None:
        """The handler returned or raised: the frame that ends the delivery, and the actor's own end if it wants one."""
        if cell.ended:
            self.forget_delivery(cell, delivery)
            return
        try:
            if error is None:
                handling.succeeded(self, cell, delivery, value)
            else:
                handling.failed(self, cell, delivery, error)
        except Closed:
            self.leave()
        except BaseException as raised:  # by what the actor gave us, as when its exception is pickled
            self.fail(cell, codec.where(raised), delivery, raised)
        self.forget_delivery(cell, delivery)
        if cell.stopping is not None and not cell.ended and not cell.active:
            self.stop_actor(cell, cell.stopping)

    def stop_actor(self, cell: Cell, reason: str) -> None:
        """The actor asked to be stopped: its hook, then the frame."""
        token = executing.set(Execution(cell))
        try:
            if cell.on_loop:
                self.loop_thread.stop(cell, reason)
                return
            handling.stop(cell, reason)
        except BaseException as error:
            reason = codec.where(error)
        finally:
            executing.reset(token)
        self.fail(cell, reason, None)

    def watch(self, cell: Cell, address: Address, what: Any) -> int:
        """The end of that actor comes to the cell as a delivery, with the number that is returned."""
        number = next(self._watch_numbers)
        with self.lock:
            self.watched[number] = cell, what
        self.port.send(frames.MONITOR, 0, cell.slot, "", number, 0, address.path, address.node, address.id)
        self.sent()
        return number

    def watched_by(self, cell: Cell) -> list[tuple[int, Any]]:
        with self.lock:
            return [(number, what) for number, (watcher, what) in self.watched.items() if watcher is cell]

    def unwatch(self, cell: Cell, number: int) -> None:
        with self.lock:
            known = self.watched.pop(number, None)
        if known is not None:
            self.port.send(frames.DEMONITOR, 0, cell.slot, "", number)
            self.sent()

    def next(self, cell: Cell) -> Delivery | None:
        """What the actor begins now, after one of its deliveries was over."""
        with self.lock:
            return cell.next()

    def fail(self, cell: Cell, reason: str, delivery: Delivery | None, error: BaseException | None = None) -> None:
        """The actor ends by itself; `delivery` was the reason, and `error` what it raised. Its last frame."""
        with self.lock:
            if cell.ended:
                return
            others = [one for one in cell.active or () if one is not delivery]
        for other in others:
            if other.number in self.open:
                handling.abandoned(self, cell, other, reason)
        text = codec.utf8(reason)[:255].decode("utf-8", "ignore").encode()
        if self.takes_tracebacks:
            trace = "" if error is None else "\n" + codec.traceback_of(error)
            text = text.replace(b"\n", b" ") + trace.encode("utf-8", "replace")
        number = 0 if delivery is None else delivery.number
        self.port.send(frames.FAILED, int(reason == "normal"), cell.slot, "", number, payload=text)
        if delivery is not None:
            self.forget_delivery(cell, delivery)
        self.end(cell)

    def end(self, cell: Cell) -> None:
        """Forgets an actor; what it still does has no effect."""
        with self.lock:
            cell.ended = True
            if cell.gate is not None:
                cell.gate.ended = True
                self.port.gate(cell.slot)
            if self.cells.get(cell.slot) is cell:
                del self.cells[cell.slot]
            left = [*(cell.active or ()), *(cell.pending or ())]
            cell.pending = None
            for number in [number for number, (watcher, _) in self.watched.items() if watcher is cell]:
                del self.watched[number]
        for delivery in left:
            self.forget_delivery(cell, delivery)
            if delivery.task is not None:
                self.loop_thread.cancel(delivery)
        self.loop_thread.cancel_tasks(cell)

    def forget_delivery(self, cell: Cell, delivery: Delivery) -> None:
        with self.lock:
            self.open.pop(delivery.number, None)
            cell.over(delivery)
            entry, delivery.entry = delivery.entry, 0
        if entry:
            self.page.over(entry)
        if self.starved:
            self._begin_starved()

    def flush(self) -> None:
        """Writes what was gathered; then the node knows that those deliveries are over."""
        self.port.flush()

    def cancel_delivery(self, number: int) -> None:
        found = self.open.get(number)
        if found is None:
            return
        cell, delivery = found
        delivery.cancelled = True
        with self.lock:
            waits = cell.withdraw(delivery)
        if waits:
            self.port.send(frames.DONE, 0, cell.slot, "", number)
            self.forget_delivery(cell, delivery)
        elif delivery.task is not None:
            self.loop_thread.cancel(delivery)

    def leave(self) -> None:
        """The node is gone, and so are we."""
        self.over(SystemClosed("the node has ended"))
        os._exit(0)
