"""One delivery: its arguments, its handler, and the frame that ends it."""

from __future__ import annotations

import inspect
import sys
import traceback
from typing import TYPE_CHECKING, Any

from . import _codec as codec
from . import _frames as frames
from . import _logs as logs
from ._behavior import behavior_of
from ._cell import Cell, Delivery, hook_call
from ._context import Context
from ._errors import APPLICATION, BAD_ARGUMENT, CRASHED, ActorError, BadArgument, DeadlockError, executed
from ._method import Message
from ._options import Address
from ._ref import ActorRef
from ._runtime import Execution

if TYPE_CHECKING:
    from ._deliveries import Deliveries


class Expired(Exception):
    """Nobody waits for the delivery any more."""


def prepare(worker: Deliveries, cell: Cell, delivery: Delivery) -> None:
    """Reads the arguments and says what the handler's own messages inherit. Raises BadArgument."""
    if delivery.unreadable is not None:
        raise delivery.unreadable
    if delivery.execution is not None:
        return
    delivery.execution = Execution(cell, delivery.number, delivery.deadline, (), "", delivery.origin)
    if delivery.kind not in (frames.TELL, frames.ASK):
        return
    try:
        args, kwargs, context, delivery.pickled = codec.decode_call(delivery.payload)
    except BaseException as error:  # unpickling imports modules
        delivery.pickled = codec.is_pickled(delivery.payload)
        delivery.unreadable = BadArgument(f"the arguments cannot be read: {type(error).__name__}: {error}")  # they are gone now
        raise delivery.unreadable from error
    delivery.args, delivery.kwargs = args, kwargs
    if context:
        delivery.execution.chain = context.get("chain", ())
        delivery.execution.trace = context.get("trace", "")
        delivery.carried = context.get("vars")
        key = context.get("key")
        delivery.key = None if key is None else (delivery.method, key)
        delivery.stream = context.get("stream")


def call(worker: Deliveries, cell: Cell, delivery: Delivery) -> Any:
    """Runs the handler; what it returns may be a coroutine."""
    if delivery.cancelled or (delivery.deadline is not None and worker.now() >= delivery.deadline):
        raise Expired
    prepare(worker, cell, delivery)
    kind = delivery.kind
    if kind in (frames.TELL, frames.ASK, frames.TIMER):
        return _message(cell, delivery)
    if kind == frames.START:
        return start(worker, cell, delivery)
    if kind == frames.STOP:
        return stop(cell, delivery.payload.decode("utf-8", "replace"))
    reason = delivery.payload.decode("utf-8", "replace")
    if kind == frames.DOWN:
        with worker.lock:
            _, ref = worker.watched.pop(delivery.id, (cell, None))
        if not isinstance(ref, ActorRef):
            return cell.leave_stream(ref, reason)
        hook = getattr(cell.object, "on_down", None)
    else:
        ref = None if delivery.origin is None else ActorRef(Address(*delivery.origin), worker)
        hook = getattr(cell.object, "on_exit", None)
    return None if hook is None else hook_call(hook, ref, reason)


def _message(cell: Cell, delivery: Delivery) -> Any:
    message = delivery.message
    if message is None:
        assert cell.behavior is not None
        raise BadArgument(cell.behavior.unknown(delivery.method))
    if delivery.key is not None:
        if cell.answers and delivery.key in cell.answers:
            return Encoded(cell.answers[delivery.key])
        if message.is_async:
            return _first_or_its_answer(cell, delivery, message)
    return _called(cell, delivery, message)


async def _first_or_its_answer(cell: Cell, delivery: Delivery, message: Message) -> Any:
    """Handlers may run side by side: of the messages with one key the first is handled, and the others wait for what becomes of it."""
    from asyncio import get_running_loop, wait

    assert delivery.key is not None
    while (first := cell.first_with(delivery.key)) is not None:
        await wait([first])  # which, unlike the future itself, can be cancelled for one alone
        if isinstance(first.result(), BaseException):
            raise first.result()
        if first.result() is not None:
            return Encoded(first.result())
    cell.is_first(delivery, get_running_loop().create_future())
    value = _called(cell, delivery, message)
    return await value if is_coroutine(value) else value


def _called(cell: Cell, delivery: Delivery, message: Message) -> Any:
    if message.is_stream:
        from ._stream import serve

        return serve(cell, delivery, message)
    try:
        return message.function(cell.object, *delivery.args, **delivery.kwargs)
    except TypeError as error:
        trace = error.__traceback__
        if trace is not None and trace.tb_next is None:  # raised by the call itself, not in the method
            check_arguments(delivery, message)
        raise


def check_arguments(delivery: Delivery, message: Message) -> None:
    """BadArgument when the method takes other arguments."""
    try:
        message.signature().bind(*delivery.args, **delivery.kwargs)
    except TypeError as wrong:
        raise BadArgument(str(wrong)) from None


def start(worker: Deliveries, cell: Cell, delivery: Delivery) -> Any:
    """Makes the actor's object. What its class is was loaded before."""
    assert cell.behavior is not None
    cls = cell.behavior.cls
    cell.context = Context(cell)
    made: Any = cls.__new__(cls)  # type: ignore[call-overload]
    try:
        made._histrio_context = cell.context
    except AttributeError:
        pass  # a class with __slots__: histrio.current() works all the same
    cell.object = made
    made.__init__(*delivery.args, **delivery.kwargs)
    if cell.snapshot is not None and cell.behavior.keeps:
        made.restore(codec.decode_state(cell.snapshot))
    cell.snapshot = None
    hook = getattr(made, "on_start", None)
    return None if hook is None else hook()


def load(worker: Deliveries, cell: Cell, delivery: Delivery) -> None:
    """Reads START and finds the class: decides on which thread the actor lives. Raises what is wrong with it."""
    told = codec.unpack(delivery.payload)
    args, kwargs, context, _ = codec.decode_call(told.get("arguments") or codec.NIL)
    cls = (context or {}).get("class")
    if cls is None:
        cell.behavior = worker.behavior(told["behavior"])
    else:
        codec.ship_by_value(True)
        cell.behavior = behavior_of(cls)
    if told.get("path"):
        cell.address = Address(told["path"])
    cell.on_loop = cell.behavior.is_async
    cell.unit = sys.intern(told.get("unit") or "")
    cell.epoch = sys.intern(str(told.get("epoch") or "0"))
    cell.incarnation = int(told.get("incarnation") or 1)
    delivery.args, delivery.kwargs = args, kwargs
    chain = (context or {}).get("chain")
    if chain is not None:
        delivery.execution = Execution(cell, delivery.number, delivery.deadline, chain, "", delivery.origin)


def _save_when_due(cell: Cell, delivery: Delivery) -> None:
    behavior = cell.behavior
    if behavior is None or not behavior.keeps or delivery.kind not in (frames.TELL, frames.ASK, frames.TIMER):
        return
    cell.unsaved += 1
    if cell.unsaved == behavior.options.snapshot_every:
        cell.save()


def stop(cell: Cell, reason: str) -> Any:
    for stream in cell.open_streams():
        stream.drop()
    hook = getattr(cell.object, "on_stop", None)
    return None if hook is None else hook_call(hook, reason)


# ---- the frame that ends it ----


def succeeded(worker: Deliveries, cell: Cell, delivery: Delivery, value: Any) -> None:
    """The handler returned. Whoever has its answer can rely on the state being kept."""
    port = worker.port
    try:
        _save_when_due(cell, delivery)
    except BaseException as error:
        failed(worker, cell, delivery, error)
        return
    if delivery.kind == frames.ASK:
        try:
            answer = _answer(cell, delivery, value)
        except ActorError as error:
            failed(worker, cell, delivery, error)
            return
        if port.send(frames.REPLY, 0, cell.slot, "", delivery.number, payload=answer):
            worker.flush()
        return
    if delivery.key is not None:
        try:
            _answer(cell, delivery, value)
        except ActorError:
            cell.remember(delivery, codec.NIL)  # nobody has asked for what cannot be sent
    port.send(frames.DONE, 0, cell.slot, "", delivery.number)
    if delivery.kind == frames.START:
        _start_timers(worker, cell)
        worker.open_gate(cell)
    elif delivery.kind == frames.STOP:
        worker.end(cell)


def _answer(cell: Cell, delivery: Delivery, value: Any) -> bytes:
    """Its payload, which is kept when the message has an idempotency key."""
    is_keyed = delivery.key is not None
    answer = value if isinstance(value, Encoded) else codec.encode_result(value, delivery.pickled, _what(cell, delivery), is_keyed)
    if is_keyed:
        cell.remember(delivery, bytes(answer))
    return answer


def _start_timers(worker: Deliveries, cell: Cell) -> None:
    assert cell.behavior is not None
    for number, timer in enumerate(cell.behavior.timers, 1):
        period = round((timer.every or 0) * 1000)
        worker.port.send(frames.TIMER_START, 0, cell.slot, timer.name, number, period, id=period)
    if hasattr(cell.object, "on_exit"):
        worker.port.send(frames.TRAP, 1, cell.slot)


def failed(worker: Deliveries, cell: Cell, delivery: Delivery, error: BaseException) -> None:
    """The handler raised."""
    port = worker.port
    cell.first_is_over(delivery, None if isinstance(error, Expired) else error)
    if isinstance(error, Expired):
        port.send(frames.DONE, 0, cell.slot, "", delivery.number)
        return
    is_message = delivery.kind in (frames.TELL, frames.ASK, frames.TIMER)
    refused = is_message and delivery.execution is not None and isinstance(error, BadArgument) and _is_ours(error)
    if delivery.kind == frames.ASK:
        is_told = isinstance(error, Exception) or codec.ends_loops(error)  # SystemExit is not: who says it wants to end
        fatal = not is_told or (cell.behavior is not None and cell.behavior.options.on_error == "restart" and not refused)
        if is_told:
            _answer_error(worker, cell, delivery, error, refused)
            if fatal:
                worker.fail(cell, codec.where(error), None, error)
            return
    elif refused:
        logs.log(port, logs.WARNING, f"a message was dropped: {delivery.method}: {error}", cell.slot)
        port.send(frames.DONE, 0, cell.slot, "", delivery.number)
        return
    if delivery.kind == frames.STOP:
        _log_failure(worker, cell, error)
        port.send(frames.DONE, 0, cell.slot, "", delivery.number)
        worker.end(cell)
        return
    _log_failure(worker, cell, error)
    worker.fail(cell, codec.where(error), delivery, error)


def _answer_error(worker: Deliveries, cell: Cell, delivery: Delivery, error: BaseException, refused: bool) -> None:
    """The asker gets the exception as itself; one that is not in Python a text."""
    if refused or (isinstance(error, BadArgument) and not delivery.pickled and not error.executed):
        worker.port.send(frames.ERROR, BAD_ARGUMENT, cell.slot, "", delivery.number, payload=codec.utf8(str(error))[:4096])
    elif delivery.pickled:
        if isinstance(error, ActorError) and not isinstance(error, BadArgument):
            executed(error)  # though what it asked of others may not be
        payload = codec.encode_error(error, cell.label, delivery.method)
        worker.port.send(frames.REPLY, 0, cell.slot, "", delivery.number, payload=payload)
    else:
        worker.port.send(frames.ERROR, APPLICATION, cell.slot, "", delivery.number, payload=codec.utf8(codec.where(error)))


def refuse_circle(worker: Deliveries, cell: Cell, delivery: Delivery, cycle: list[str]) -> None:
    """An ask that comes back to an actor which waits for it."""
    error = DeadlockError(f"{' -> '.join(cycle)}: each would wait for the next for ever", cycle)
    payload = codec.encode_error(error, cell.label, delivery.method)
    worker.port.send(frames.REPLY, 0, cell.slot, "", delivery.number, payload=payload)


def abandoned(worker: Deliveries, cell: Cell, delivery: Delivery, reason: str) -> None:
    """The actor fails while this delivery, too, had begun."""
    if delivery.is_ask:
        worker.port.send(frames.ERROR, CRASHED, cell.slot, "", delivery.number, payload=codec.utf8(reason))
    else:
        worker.port.send(frames.DONE, 0, cell.slot, "", delivery.number)


class Encoded(bytes):
    """A result that is a payload already."""


def _is_ours(error: BaseException) -> bool:
    """Whether this package found the mistake, before the method ran."""
    trace = error.__traceback__
    if trace is None:
        return True
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__") == __name__


def _what(cell: Cell, delivery: Delivery) -> str:
    return f"{delivery.method} of {cell.label}"


def _log_failure(worker: Deliveries, cell: Cell, error: BaseException) -> None:
    text = "".join(traceback.format_exception(type(error), error, codec._without_ours(error.__traceback__)))
    logs.log(worker.port, logs.ERROR, codec.where(error), cell.slot, traceback=text[-logs.LINE_MAX:])


def is_coroutine(value: Any) -> bool:
    return inspect.iscoroutine(value)


def finish_lines() -> None:
    """Prints without an end of line belong to the message that printed them. Raises nothing: that message is to be ended."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, logs.Stream):
            try:
                stream.finish()
            except Exception:
                pass  # there is nobody whom a line that cannot be told would help
