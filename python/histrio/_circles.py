"""Asks that go round in a circle: actors that would wait for each other for ever are told so (DeadlockError) instead.

An ask carries the asks that led to it. One that comes to an actor which itself waits for one of them is refused; one that comes before
the actor waits is a suspect, until it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _handling as handling
from ._call import Call
from ._cell import Cell, Delivery
from ._peer import Request

if TYPE_CHECKING:
    from ._worker import Worker


def awaits(worker: Worker, call: Call[Any]) -> None:
    """From now on the asker waits for this call: what came back to it and waits for its end would wait for ever."""
    for request in call.parts():
        if not isinstance(request, Request) or request.asker is None:
            continue
        with worker.lock:
            request.awaited = True
            suspects, request.suspects = request.suspects or (), None
        for cell, delivery, cycle in suspects:
            _refuse(worker, cell, delivery, cycle)


def look_for(worker: Worker, cell: Cell, delivery: Delivery) -> None:
    """An ask has to wait for its actor: is it the actor itself that waits for it?"""
    try:
        handling.prepare(worker, cell, delivery)
    except Exception:
        delivery.execution = None
        return  # told when it is run
    assert delivery.execution is not None
    chain = delivery.execution.chain
    for at, (process, number, _, _) in enumerate(chain):
        call = worker.requests.get(number) if process == worker.identity else None
        if call is None or call.asker is None or call.asker.cell is not cell:
            continue
        cycle = [label for _, _, label, _ in chain[at:]] + [cell.label]
        with worker.lock:
            waits = call.awaited
            if not waits:
                call.suspects = [*(call.suspects or ()), (cell, delivery, cycle)]
        if waits:
            _refuse(worker, cell, delivery, cycle)
        return


def _refuse(worker: Worker, cell: Cell, delivery: Delivery, cycle: list[str]) -> None:
    with worker.lock:
        if not cell.withdraw(delivery):
            return
    handling.refuse_circle(worker, cell, delivery, cycle)
    worker.forget_delivery(cell, delivery)
    worker.sent()
