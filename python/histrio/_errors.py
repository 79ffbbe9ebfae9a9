"""What can go wrong with a message. The codes are those of enum histrio_error (include/histrio/actor.h)."""

from __future__ import annotations

import re
from typing import Sequence, TypeVar

NOT_FOUND = 1
UNAVAILABLE = 2
UNCERTAIN = 3
FENCED = 4
MAILBOX_FULL = 5
TIMEOUT = 6
CRASHED = 7
BAD_ARGUMENT = 8
APPLICATION = 9
DENIED = 10


class ActorError(Exception):
    """The base of all errors of this package.

    `code` is the error's number for callers in other languages; `executed` says whether the message may have been
    executed: False, True, or None when nobody knows.
    """

    code = APPLICATION
    executed: bool | None = None


E = TypeVar("E", bound=ActorError)


class NoSuchActor(ActorError):
    """No actor has this name, or the incarnation of this reference has ended."""

    code = NOT_FOUND
    executed = False


class Unavailable(ActorError):
    """The actor's unit runs nowhere at the moment; nothing was executed, and later it may work."""

    code = UNAVAILABLE
    executed = False


class Overloaded(Unavailable):
    """Too much waits to be sent."""


class Uncertain(ActorError):
    """The connection broke: the message was executed once, or not at all."""

    code = UNCERTAIN


class Fenced(Unavailable):
    """The node that was asked may not act any more."""

    code = FENCED


class MailboxFull(ActorError):
    """The mailbox is full and its policy is to refuse."""

    code = MAILBOX_FULL
    executed = False


class AskTimeout(ActorError):
    """No answer came in time. `queued`: the message was still waiting (True), had begun (False), or nobody knows (None)."""

    code = TIMEOUT

    def __init__(self, text: str = "", queued: bool | None = None) -> None:
        super().__init__(text)
        self.queued = queued

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.queued)


class ActorCrashed(ActorError):
    """The actor ended while the message waited for its answer.

    `reason` is the actor's exit reason ("SIGSEGV bank.py:41 in add"), `signal` the signal in it or None, `traceback` the
    Python stack at the fault ("" when there is none), and `maybe_executed` False when the message had not begun.
    """

    code = CRASHED

    def __init__(self, reason: str = "", traceback: str = "", maybe_executed: bool = True, text: str = "") -> None:
        said = text or reason
        super().__init__(f"{said}\n{traceback}" if traceback else said)
        self.text = said
        self.reason = reason
        self.traceback = traceback
        self.maybe_executed = maybe_executed
        found = re.match(r"SIG[A-Z0-9]+", reason)
        self.signal = found.group() if found else None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, self.traceback, self.maybe_executed, self.text)


class BadArgument(ActorError):
    """The actor has no such method, or the method takes other arguments; nothing was executed."""

    code = BAD_ARGUMENT
    executed = False


class EncodingError(BadArgument):
    """An argument or a result cannot be sent: it cannot be pickled, or no message can hold it. Or a result cannot be unpickled here.

    Of a result and of an actor's state `executed` is True: the method ran.
    """


def executed(error: E) -> E:
    """The same error, of what was found after the method ran."""
    error.executed = True
    return error


class ValueTooLarge(EncodingError):
    """A message holds at most 4 MiB."""


class Denied(ActorError):
    """The caller has no right to do this."""

    code = DENIED
    executed = False


class RemoteError(ActorError):
    """The method raised an exception.

    An exception whose class can be imported here is raised as itself, with a RemoteError as its `__cause__`, which carries
    the traceback. Others, and those of actors in other languages, are raised as RemoteError.
    """

    def __init__(self, text: str = "", type_name: str = "", actor: str = "", method: str = "", traceback: str = "") -> None:
        super().__init__(text)
        self.type_name = type_name
        self.actor = actor
        self.method = method
        self.traceback = traceback

    def __str__(self) -> str:
        text = super().__str__()
        if not self.traceback:
            return text
        where = f" in {self.method} of {self.actor}" if self.actor else ""
        return f"{text}{where}\n{self.traceback}"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.type_name, self.actor, self.method, self.traceback)


class DeadlockError(ActorError):
    """The actors in `cycle` would wait for each other for ever: the message was not executed."""

    executed = False

    def __init__(self, text: str = "", cycle: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.cycle = list(cycle)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.cycle)


class StartFailed(ActorError):
    """An actor could not be started: its class cannot be imported, or its constructor raised."""


class NotRestarted(NoSuchActor):
    """The actor ended, and its supervisor does not start it again."""


class VersionSkew(ActorError):
    """The node and this package do not speak the same protocol."""


class NodeNotFound(ActorError):
    """The program histrio-node is not installed where this package looks for it."""


class SystemClosed(ActorError):
    """The system was closed, or its node has ended."""


def of_code(code: int, text: str, actor: str = "", method: str = "") -> ActorError:
    """The error that the other side calls `code`. actor and method: that were asked, for texts that do not name them."""
    if code == CRASHED:
        return _crashed(text, f"{method} of {actor}: " if actor else "")
    if code == APPLICATION:
        return RemoteError(text, "", actor, method)
    return _BY_CODE.get(code, ActorError)(text)


def _crashed(text: str, asked: str) -> ActorCrashed:
    reason, _, rest = text.partition("\n")
    told, _, stack = rest.partition("\n")
    if _LOST.fullmatch(told):
        error = ActorCrashed(reason, stack.rstrip(), True, asked + reason)
        return error if told.endswith("maybe executed") else executed(error)
    found = _LOST_IN_ONE_LINE.fullmatch(reason)
    if found:
        return ActorCrashed(found.group(1), "", True, reason)
    return ActorCrashed(reason, rest.rstrip(), True, asked + reason)


# What a node says of a message that was in execution (node/host/deliveries.c): to actors and programs the reason, this line and the stack
# ("" for none); to clients one line.
_HOW = "(?:maybe executed|it was executed, its answer is lost)"
_LOST = re.compile(rf'\S* crashed in "[^"]*"; {_HOW}')
_LOST_IN_ONE_LINE = re.compile(rf'\S* crashed in "[^"]*": (.*); {_HOW}')

_BY_CODE: dict[int, type[ActorError]] = {
    NOT_FOUND: NoSuchActor,
    UNAVAILABLE: Unavailable,
    UNCERTAIN: Uncertain,
    FENCED: Fenced,
    MAILBOX_FULL: MailboxFull,
    TIMEOUT: AskTimeout,
    BAD_ARGUMENT: BadArgument,
    DENIED: Denied,
}
