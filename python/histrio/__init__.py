"""Histrio: actors under supervision.

An actor is a class whose methods are messages. A node, which is a process of its own, keeps mailboxes, deadlines and
supervision; the class runs in worker processes beside it, and a crash there takes no message along but the one in execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._actor import Actor, actor, child, supervisor
from ._behavior import NoSuchMethod
from ._call import Call, Stream
from ._context import Context, current
from ._errors import (
    ActorCrashed, ActorError, AskTimeout, BadArgument, DeadlockError, Denied, EncodingError, Fenced, MailboxFull, NodeNotFound,
    NoSuchActor, NotRestarted, Overloaded, RemoteError, StartFailed, SystemClosed, Unavailable, Uncertain, ValueTooLarge,
    VersionSkew,
)
from ._gather import gather
from ._method import Method, StreamMethod, every, method
from ._options import OneForAll, OneForOne, RestForOne, Strategy
from ._ref import ActorRef
from ._system import System

__version__ = "0.1.0"

__all__ = [
    "Actor", "ActorCrashed", "ActorError", "ActorRef", "AskTimeout", "BadArgument", "Call", "Context", "DeadlockError",
    "Denied", "EncodingError", "Fenced", "MailboxFull", "Method", "NoSuchActor", "NoSuchMethod", "NodeNotFound",
    "NotRestarted", "OneForAll", "OneForOne", "Overloaded", "RemoteError", "RestForOne", "StartFailed", "Strategy", "Stream",
    "StreamMethod", "System", "SystemClosed", "Unavailable", "Uncertain", "ValueTooLarge", "VersionSkew", "actor", "child",
    "current", "every", "gather", "method", "supervisor",
]
