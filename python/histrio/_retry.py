"""Calls that are made again when they failed."""

from __future__ import annotations

import contextvars
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from ._call import Call
from ._errors import ActorCrashed, ActorError, AskTimeout, DeadlockError, MailboxFull, Unavailable, Uncertain
from ._method import Message
from ._options import Address, CallOptions

if TYPE_CHECKING:
    from ._peer import Peer

FIRST_WAIT = 0.02
LONGEST_WAIT = 2.0


class RetriedCall(Call[Any]):
    """Attempts, one after the other, the first at once.

    What was certainly not executed is tried again; what may have been only with an idempotency key, which the actor knows. Each attempt is
    made in the context of the first one: the same actor asks, and its message's deadline and trace count.
    """

    __slots__ = ("_peer", "_message", "_left", "_wait", "_attempt", "_cancelled", "_arguments", "_context")

    def __init__(self, peer: Peer, address: Address, message: Message, args: Sequence[Any], kwargs: Mapping[str, Any],
                 options: CallOptions) -> None:
        super().__init__(peer)
        self._peer = peer
        self._arguments = (address, message, args, kwargs, options)
        self._left = options.retries
        self._wait = FIRST_WAIT
        self._cancelled = False
        self._context = contextvars.copy_context()
        self._attempt: Call[Any] | None = None
        self._try()

    def cancel(self) -> bool:
        cancelled, self._cancelled = super().cancel(), True
        if self._attempt is not None:
            self._attempt.cancel()
        return cancelled

    def parts(self) -> Iterable[Call[Any]]:
        return () if self._attempt is None else (self._attempt,)

    def _try(self) -> None:
        attempt = self._attempt = self._peer.ask_once(*self._arguments)
        attempt.add_done_callback(lambda: self._tried(attempt))

    def _tried(self, attempt: Call[Any]) -> None:
        error = attempt._error
        if error is None:
            self.complete(attempt._value)
            return
        if self._cancelled or self._left <= 0 or not self._may_repeat(error):
            self.fail(error)
            return
        self._left -= 1
        wait = self._wait * random.uniform(0.5, 1.0)
        self._wait = min(LONGEST_WAIT, 2 * self._wait)
        self._peer.later(wait, partial(self._context.run, self._again))

    def _again(self) -> None:
        if self._cancelled:
            return
        try:
            self._try()
        except Exception as error:
            self.fail(error)

    def _may_repeat(self, error: BaseException) -> bool:
        if isinstance(error, DeadlockError) or not isinstance(error, ActorError):
            return False
        if isinstance(error, (Unavailable, MailboxFull)):
            return not error.executed  # it may be one that the handler met with
        has_key = self._arguments[-1].idempotency_key is not None
        return has_key and isinstance(error, (ActorCrashed, AskTimeout, Uncertain))
