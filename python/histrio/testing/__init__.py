"""Tests of actors without a node: the same classes, in this process, one step after the other.

    async def test_counter() -> None:
        async with testing.system(seed=7) as system:
            counter = await system.spawn(Counter, 5, name="counter")
            assert await counter.add(1) == 6
            system.crash(counter)
            assert await counter.add(1) == 6
            assert system.trace.of("restart") == ["local/counter"]

Messages are pickled and unpickled as on the way to a worker process, supervisors do what the node's do, and time passes only when
all actors wait for it, or when the test says so. The seed decides who is next among actors that have messages. What actors
execute is the code that worker processes execute; what the node does is done by this package instead, in Python.
"""

from ._clock import VirtualClock
from ._faults import Rule
from ._system import TestSystem, system
from ._trace import Entry, Trace

__all__ = ["Entry", "Rule", "TestSystem", "Trace", "VirtualClock", "system"]
