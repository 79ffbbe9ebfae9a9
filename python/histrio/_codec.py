"""Values of messages: pickles inside of msgpack's ext types 80 to 82 between Python actors, plain msgpack with others."""

from __future__ import annotations

import dataclasses
import pickle
import re
import struct
import sys
import traceback as tracebacks
from typing import Any, Callable, Mapping, Sequence

from . import _buffers as buffers
from ._carry import TRACE_SIZE, trace_text
from ._errors import ActorError, EncodingError, RemoteError, ValueTooLarge, executed
from ._frames import PAYLOAD_MAX

TIME = 1
PICKLE = 80
EXCEPTION = 81
TRACED = 83  # a trace in binary, and behind it a value in msgpack: what a client sent
_EXT = struct.Struct(">BIB")
_EXT_SIZE = _EXT.size
_TIME = struct.Struct(">Iq")
NIL = b"\xc0"


def wrap(kind: int, data: bytes) -> bytes:
    """Bytes as one msgpack value of an ext type."""
    return _EXT.pack(0xC9, len(data), kind) + data


def ext_of(payload: bytes) -> int:
    """The ext type of a payload that wrap() made; 0 for other values."""
    if len(payload) >= _EXT_SIZE and payload[0] == 0xC9:
        return payload[5]
    return 0


def unwrap(payload: bytes) -> memoryview:
    return memoryview(payload)[_EXT_SIZE:]


def checked(payload: bytes, what: str) -> bytes:
    if len(payload) > PAYLOAD_MAX:
        raise ValueTooLarge(f"{what}: {len(payload)} bytes are too many; a message holds at most {PAYLOAD_MAX}")
    return payload


# ---- pickles ----


def dumps(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None) -> bytes:
    """A pickle; classes of a notebook, which no file holds, are sent along by cloudpickle."""
    if is_by_value():
        return _cloudpickle(value, buffer_callback)
    return pickle.dumps(value, 5, buffer_callback=buffer_callback)


def _encode(value: Any) -> bytes:
    """A payload with the value's pickle; what is large in it goes beside."""
    try:
        data = dumps(value, buffers.refuse_large)
    except buffers.Large:
        return buffers.encode(dumps, value)
    if len(data) >= buffers.LARGE_PICKLE:
        return buffers.encode_pickle(data)
    return _EXT.pack(0xC9, len(data), PICKLE) + data


def encode_call(args: Sequence[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any] | None, method: str,
                target: object = None) -> bytes:
    """The payload of a message to a Python actor. method and target: for errors."""
    call = (args, kwargs) if context is None else (args, kwargs, context)
    try:
        return _encode(call)
    except ActorError as error:
        raise type(error)(f"{_named(method, target)}: {error}") from error.__cause__
    except Exception as error:
        raise EncodingError(f"{_named(method, target)}: {_culprit(args, kwargs)} cannot be sent: {error}") from error


def encode_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any] | None, what: str) -> bytes:
    """The same for a constructor: all of it in one value."""
    if not args and not kwargs and context is None:
        return NIL
    call = (args, kwargs) if context is None else (args, kwargs, context)
    try:
        data = dumps(call)
    except Exception as error:
        raise EncodingError(f"{what}: {_culprit(args, kwargs)} cannot be sent: {error}") from error
    return checked(wrap(PICKLE, data), what)


def _named(method: str, target: object) -> str:
    return method if target is None else f"{method} of {target}"


def is_pickled(payload: bytes) -> bool:
    return ext_of(payload) in (PICKLE, buffers.EXT)


def decode_call(payload: bytes) -> tuple[Sequence[Any], Mapping[str, Any], Mapping[str, Any] | None, bool]:
    """args, kwargs, context, and whether it was a pickle."""
    if is_pickled(payload):
        call = pickle.loads(unwrap(payload)) if ext_of(payload) == PICKLE else buffers.decode(payload)
        return call[0], call[1], call[2] if len(call) > 2 else None, True
    context = None
    if ext_of(payload) == TRACED:
        at = _EXT_SIZE + TRACE_SIZE
        context, payload = {"trace": trace_text(payload[_EXT_SIZE:at])}, payload[at:]
    value = unpack(payload) if payload else None
    if value is None:
        return (), {}, context, False
    if isinstance(value, dict):
        return (), value, context, False
    return (value if isinstance(value, list) else [value]), {}, context, False


def encode_result(value: Any, pickled: bool, what: str, is_kept: bool = False) -> bytes:
    """The payload of an answer; None in a pickle needs none. is_kept: nothing stands beside it."""
    if not pickled:
        try:
            return checked(pack(value, f"the result of {what}"), f"the result of {what}")
        except ActorError as error:
            executed(error)
            raise
    if value is None:
        return NIL
    try:
        return checked(wrap(PICKLE, dumps(value)), "it is kept") if is_kept else _encode(value)
    except ActorError as error:
        raise executed(type(error)(f"the result of {what}: {error}")) from error.__cause__
    except BaseException as error:  # pickling runs what the actor's module says
        raise executed(EncodingError(f"the result of {what} cannot be sent: {error}")) from error


def decode_result(payload: bytes) -> Any:
    """The answer in a payload; raises the exception that it holds."""
    kind = ext_of(payload)
    if kind == PICKLE:
        return pickle.loads(unwrap(payload))
    if kind == buffers.EXT:
        return buffers.decode(payload)
    if kind == EXCEPTION:
        raise decode_error(payload)
    return unpack(payload) if payload else None


def encode_state(state: Any, actor: str) -> bytes:
    """What snapshot() gave, to be kept by the node."""
    try:
        return checked(dumps(state), f"the state of {actor}")
    except ValueTooLarge as error:
        executed(error)
        raise
    except BaseException as error:
        raise executed(EncodingError(f"the state of {actor} cannot be pickled: {type(error).__name__}: {error}")) from error


def decode_state(data: bytes) -> Any:
    return pickle.loads(data)


def ends_loops(error: BaseException) -> bool:
    """Whether it means something to whoever calls: raised at an asker it would end loops and tasks there, or the program."""
    from asyncio import CancelledError

    return isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit, CancelledError, KeyboardInterrupt))


def encode_error(error: BaseException, actor: str, method: str) -> bytes:
    """An exception with its traceback: as itself, when it survives pickling, and as texts."""
    text = _said(error)
    trace = "".join(tracebacks.format_exception(type(error), error, _without_ours(error.__traceback__))).rstrip()
    pickled = None if ends_loops(error) else _faithful(error, error) or _faithful(error, _Rebuilt(error))
    kind = f"{type(error).__module__}:{type(error).__qualname__}"
    return wrap(EXCEPTION, pickle.dumps((pickled, kind, text[:65536], actor, method, trace[-65536:]), 5))


def _faithful(error: BaseException, sent: object) -> bytes | None:
    """A pickle of `sent` that gives the same exception again; None: it does not."""
    try:
        pickled = dumps(sent)
        return pickled if len(pickled) <= PAYLOAD_MAX // 2 and _is_alike(error, pickle.loads(pickled)) else None
    except Exception:
        return None


class _Rebuilt:
    """Pickled in place of an exception, and an exception once unpickled: its __init__, which may take anything, does not run again."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self._error), self._error.args, self._error.__dict__)


def _rebuild(cls: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


def _text(error: BaseException) -> str:
    """What it says, but for where in memory things are that it speaks of."""
    return re.sub(r"\b0x[0-9a-fA-F]+", "", str(error))


_PLAIN = (str, bytes, int, float, complex)


def _is_alike(one: Any, other: Any) -> bool:
    """Whether a copy is what was copied: plain values must be equal. Of others the class must be the same: what they call equal is theirs."""
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseException):
        return _text(one) == _text(other) and _is_alike(one.args, other.args) and _is_alike(one.__dict__, other.__dict__)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(_is_alike, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(_is_alike(value, other.get(key)) for key, value in one.items())
    return one == other or one != one if isinstance(one, _PLAIN) else True


def decode_error(payload: bytes) -> BaseException:
    """The exception of a payload, with a RemoteError as its cause; or a RemoteError alone."""
    pickled, kind, text, actor, method, trace = pickle.loads(unwrap(payload))
    remote = RemoteError(text, kind, actor, method, trace)
    if pickled is None:
        return remote
    try:
        error = pickle.loads(pickled)
    except Exception:
        return remote
    if not isinstance(error, BaseException):
        return remote
    error.__cause__ = remote
    return error


def _said(error: BaseException) -> str:
    """"ValueError: text". Python puts the place in front of a SyntaxError, on lines of its own; its text has the place as well."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error}"
    return "".join(tracebacks.format_exception_only(type(error), error)).strip()


TRACEBACK_MAX = 3500  # bytes, of the end of a traceback, which says most


def traceback_of(error: BaseException) -> str:
    """As Python prints it, for who watches the actor."""
    text = "".join(tracebacks.format_exception(type(error), error, _without_ours(error.__traceback__))).rstrip()
    data = text.encode("utf-8", "replace")
    return text if len(data) <= TRACEBACK_MAX else "..." + data[-TRACEBACK_MAX:].decode("utf-8", "ignore")


def utf8(text: str) -> bytes:
    """What others read. What is no character, as in names of files that are not in UTF-8, they see as an escape."""
    return text.encode("utf-8", "backslashreplace")


def where(error: BaseException) -> str:
    """"ValueError: text (bank.py:41 in add)": the reason of an actor that failed by an exception."""
    text = _said(error).splitlines()[0]
    trace = tracebacks.extract_tb(_without_ours(error.__traceback__))
    if not trace:
        return text
    last = trace[-1]
    place = f" ({last.filename.rpartition('/')[2]}:{last.lineno} in {last.name})"
    room = max(0, 255 - len(utf8(place)))
    return utf8(text)[:room].decode("utf-8", "ignore") + place


def _without_ours(trace: Any) -> Any:
    """A traceback without the frames of this package above the user's code."""
    here = __file__.rpartition("/")[0]
    first = trace
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(here + "/"):
        trace = trace.tb_next
    return trace or first


def _culprit(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Which argument cannot be pickled."""
    for name, value in [*((f"argument {i}", one) for i, one in enumerate(args, 1)), *((f'argument "{k}"', v) for k, v in kwargs.items())]:
        try:
            dumps(value)
        except Exception:
            return f"{name} ({type(value).__name__})"
    return "an argument"


# Whether classes are shipped by value: in notebooks and prompts, whose classes are in no file, and in workers that got such.
_by_value: bool | None = None


def ship_by_value(does: bool) -> None:
    global _by_value
    _by_value = does


def is_by_value() -> bool:
    global _by_value
    if _by_value is None:
        from ._app import script_of_this_process

        _by_value = script_of_this_process() is None
    return _by_value


def _cloudpickle(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], object] | None) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value, 5, buffer_callback=buffer_callback)
    data: bytes = cloudpickle.dumps(value, 5, buffer_callback=buffer_callback)
    return data


def class_context(cls: type) -> dict[str, Any] | None:
    """What START needs beside the arguments: the class itself, when no file has it."""
    if cls.__module__ not in ("__main__", "__mp_main__") or not is_by_value():
        return None
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        raise EncodingError(
            f"{cls.__name__} is in no file that workers could import: put it into a module, or install cloudpickle"
        ) from None
    return {"class": cls}


# ---- msgpack ----


def pack(value: Any, what: str) -> bytes:
    """Plain values for whoever is not Python: what is neither plain, a dataclass nor a reference is refused."""
    import msgpack

    try:
        data: Any = msgpack.packb(value, default=_plain, use_bin_type=True)
    except EncodingError as error:
        raise EncodingError(f"{what}: {error}") from None
    except Exception as error:
        raise EncodingError(f"{what}: {error}") from error
    return bytes(data)


def pack_call(args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> bytes:
    """Arguments by name as a map, by position as an array, none as nil."""
    if args and kwargs:
        raise EncodingError(f"{what}: an actor that is not known to be in Python takes arguments by name or by position, not both")
    if not args and not kwargs:
        return NIL
    return checked(pack(dict(kwargs) if kwargs else list(args), what), what)


def unpack(payload: bytes) -> Any:
    import msgpack

    return msgpack.unpackb(payload, raw=False, strict_map_key=True, ext_hook=_ext)


def _ext(kind: int, data: bytes) -> Any:
    if kind == TIME and len(data) == _TIME.size:
        from datetime import datetime, timedelta, timezone

        nanoseconds, whole = _TIME.unpack(data)
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=whole, microseconds=nanoseconds // 1000)
    raise EncodingError(f"a value of the unknown ext type {kind}")


def _plain(value: Any) -> Any:
    from datetime import datetime, timedelta, timezone

    import msgpack

    from ._ref import ActorRef, address_of

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, ActorRef):
        path = address_of(value).path
        if path:
            return path
        raise EncodingError("a reference to an actor without a name cannot be sent to what is not Python")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise EncodingError("a datetime without a time zone names no moment")
        since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return msgpack.ExtType(TIME, _TIME.pack(since.microseconds * 1000, since // timedelta(seconds=1)))
    raise EncodingError(f"{type(value).__name__} is no plain value")
