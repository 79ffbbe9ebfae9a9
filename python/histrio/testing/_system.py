"""testing.system(): what a test holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .. import _frames as frames
from .. import _watch as watch
from .._call import Call
from .._errors import NoSuchActor, SystemClosed
from .._frames import Frame
from .._peer import Peer
from .._ref import address_of
from .._runtime import Execution, Runtime
from .._system import System
from ._clock import VirtualClock
from ._faults import Rule
from ._node import SCRIPT, Node
from ._supervision import Actor
from ._trace import Trace

if TYPE_CHECKING:
    import asyncio

PATIENCE = 3  # turns of the test's own loop in which nothing came up, before time may pass
CLOSE_STEPS_MAX = 100


class TestRuntime(Peer):
    """The test as the actor `local`."""

    def __init__(self, clock: VirtualClock, seed: int) -> None:
        self.step_node = Node(clock, seed, self._accept)
        super().__init__(self.step_node.script_wire)
        self.system, self.node, self.node_uid = "local", "local", 1
        self.watches = watch.Watches(self)  # type: ignore[arg-type]
        self._pumped: asyncio.AbstractEventLoop | None = None
        self._waiting: set[Call[Any]] = set()

    def _slot(self, execution: Execution | None) -> int:
        return SCRIPT

    def sent(self, is_much: bool = False) -> None:
        import asyncio

        loop = asyncio._get_running_loop()
        if loop is not None:
            self._pump_soon(loop)

    def wait(self, call: Call[Any], deadline: float | None) -> bool:
        return self.step_node.wait(call, None if deadline is None else deadline - time.monotonic())

    def soon(self, function: Callable[[], None]) -> None:
        function()

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self.step_node.clock.after(seconds, function)

    def attach(self, loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
        self._waiting.add(call)
        call.add_done_callback(lambda: self._waiting.discard(call))
        self._pump_soon(loop)

    def _pump_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pumped is not loop:
            self._pumped = loop
            loop.call_soon(self._pump, loop, 0)

    def _pump(self, loop: asyncio.AbstractEventLoop, quiet: int) -> None:
        """Does what is to be done; time passes when the test and all actors wait."""
        node = self.step_node
        if node.step():
            node.settle()
            quiet = 0
        if not self._waiting or self.closed is not None or (quiet >= PATIENCE and not node.clock.auto):
            self._pumped = None
            return
        if quiet >= PATIENCE and not node.jump():
            self._pumped = None
            return
        loop.call_soon(self._pump, loop, 0 if quiet >= PATIENCE else quiet + 1)

    def _accept(self, frame: Frame) -> None:
        if frame.kind in (frames.REPLY, frames.ERROR):
            self.answered(frame)
        elif frame.kind == frames.DOWN:
            self.watches.down(frame)


class TestSystem(System):
    """Actors without a node, for `with` and `async with`. Its clock, faults and trace are for tests."""

    __test__ = False  # for pytest
    _runtime: TestRuntime  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, clock: VirtualClock, seed: int) -> None:
        self.clock = clock
        self.seed = seed

    def __repr__(self) -> str:
        return f"<testing.system(seed={self.seed})>"

    def _open(self) -> Runtime:
        return TestRuntime(self.clock, self.seed)

    def _close(self) -> None:
        node = self._runtime.step_node
        over: list[bool] = []
        script = node.supervision.script
        node.supervision._stop_all(script.children[::-1], lambda: over.append(True))
        while not over:
            if not node.step() and not node.jump():
                break
        self._runtime.over(SystemClosed("the system was closed"))
        self._runtime.watches.over()
        for _ in range(CLOSE_STEPS_MAX):  # tasks of actors were cancelled, and one may take that as it likes
            if node.loop.has_work():
                node.loop.step()
        node.loop.close()

    @property
    def trace(self) -> Trace:
        """What happened until now, in order."""
        return self._runtime.step_node.supervision.trace

    def watch(self, ref: object) -> watch.Watch:
        """The ends and restarts of an actor, as histrio.local() has it."""
        return watch.Watch(self._runtime.watches, ref)

    # ---- time ----

    async def settle(self) -> None:
        """Until no actor has anything to do, at this moment of the clock."""
        self._runtime.step_node.settle()

    async def advance(self, seconds: float) -> None:
        """Lets time pass: timers, deadlines and the actors' own `asyncio.sleep` come due on the way."""
        self._runtime.step_node.advance(seconds)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """A coroutine to its end, for tests that have no event loop."""
        import asyncio

        return asyncio.run(coroutine)

    # ---- faults ----

    def crash(self, ref: object, signal: str = "SEGV", *, when: str | None = None) -> None:
        """The process of an actor dies by a signal: now, or when it begins the message `when`."""
        if when is not None:
            self._rule(Rule("crash", "", 0, when, 1, signal=signal), ref)
            return
        node = self._runtime.step_node
        node.settle_inbox()
        node.crash(self._actor(ref), signal)

    def drop(self, ref: object, method: str | None = None, times: int = 1) -> Rule:
        """The next messages for an actor are lost on their way."""
        return self._rule(Rule("drop", "", 0, method, times), ref)

    def delay(self, ref: object, seconds: float, method: str | None = None, times: int = 1) -> Rule:
        """The next messages for an actor are late, so that others overtake them."""
        return self._rule(Rule("delay", "", 0, method, times, seconds), ref)

    def duplicate(self, ref: object, method: str | None = None, times: int = 1) -> Rule:
        """The next messages for an actor come twice, as when a caller asks again after an answer was lost."""
        return self._rule(Rule("duplicate", "", 0, method, times), ref)

    def _rule(self, rule: Rule, ref: object) -> Rule:
        address = address_of(ref)
        rule.path, rule.id = address.path, address.id
        self._runtime.step_node.rules.append(rule)
        return rule

    def _actor(self, ref: object) -> Actor:
        address = address_of(ref)
        supervision = self._runtime.step_node.supervision
        found = supervision.names.get(address.path) if address.path else supervision.by_id(address.id)
        if found is None or found.state == "over":
            raise NoSuchActor(f"{address} does not run")
        return found


def system(*, clock: VirtualClock | None = None, seed: int = 0) -> TestSystem:
    """A system for one test. The same seed gives the same order of messages."""
    return TestSystem(clock or VirtualClock(), seed)
