"""Histrio: actors under supervision.

An actor is a class whose methods are messages. A node, which is a process of its own, keeps mailboxes, deadlines and
supervision; the class runs in worker processes beside it, and a crash there takes no message along but the one in execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._actor import Actor, actor, child, supervisor
from ._behavior import NoSuchMethod
from ._call import Call, Stream
from ._carry import carry, traced
from ._context import Context, current
from ._errors import (
    ActorCrashed, ActorError, AskTimeout, BadArgument, DeadlockError, Denied, EncodingError, Fenced, MailboxFull, NodeNotFound,
    NoSuchActor, NotRestarted, Overloaded, RemoteError, StartFailed, SystemClosed, Unavailable, Uncertain, ValueTooLarge,
    VersionSkew,
)
from ._gather import gather
from ._local import Local, local, per_cpu
from ._method import Method, StreamMethod, every, method
from ._options import OneForAll, OneForOne, RestForOne, Strategy
from ._ref import ActorRef
from ._system import System

if TYPE_CHECKING:
    from ._connect import Connected, connect
    from ._pool import Pool
    from ._watch import Event, Restarted, Terminated, Watch

__version__ = "0.1.0"
StopReason = str
RestartReason = str

__all__ = [
    "Actor", "ActorCrashed", "ActorError", "ActorRef", "AskTimeout", "BadArgument", "Call", "Connected", "Context", "DeadlockError",
    "Denied", "EncodingError", "Event", "Fenced", "Local", "MailboxFull", "Method", "NoSuchActor", "NoSuchMethod", "NodeNotFound",
    "NotRestarted", "OneForAll", "OneForOne", "Overloaded", "Pool", "RemoteError", "RestForOne", "Restarted", "StartFailed", "Strategy", "Stream",
    "StreamMethod", "System", "SystemClosed", "Terminated", "Unavailable", "Uncertain", "ValueTooLarge", "VersionSkew", "Watch", "actor", "carry",
    "child", "connect", "current", "every", "gather", "local", "method", "per_cpu", "supervisor", "traced",
]


def __getattr__(name: str) -> Any:
    if name in ("Event", "Restarted", "Terminated", "Watch"):  # loaded when they are needed: they cost time
        from . import _watch

        return getattr(_watch, name)
    if name in ("Connected", "connect"):
        from . import _connect

        return getattr(_connect, name)
    if name == "Pool":
        from ._pool import Pool

        return Pool
    raise AttributeError(f"module 'histrio' has no attribute '{name}'")
