"""What messages carry: context variables, and the trace that they belong to."""

import contextvars

import pytest
from carry_actors import TENANT, AsyncLooker, Looker, Relay

import histrio

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def as_tenant(tenant, function):
    def inner():
        TENANT.set(tenant)
        return function()

    return contextvars.copy_context().run(inner)


@pytest.mark.histrio("test", "node")
@pytest.mark.parametrize("cls", [Looker, AsyncLooker])
def test_context_variables(histrio_system, cls):
    looker = histrio_system.spawn(cls).result()
    assert looker.look().result() == ("nobody", "")
    assert as_tenant("ann", lambda: looker.look().result()) == ("ann", "")
    assert looker.look().result() == ("nobody", ""), "it was of that message only"
    assert as_tenant("ann", lambda: looker.set("bob").result())[0] == "bob"
    assert looker.look().result() == ("nobody", "")


@pytest.mark.histrio("test", "node")
@pytest.mark.parametrize("cls", [Looker, AsyncLooker])
def test_messages_of_handlers_inherit(histrio_system, cls):
    relay = histrio_system.spawn(Relay, histrio_system.spawn(cls).result()).result()
    with histrio.traced(TRACE):
        assert as_tenant("ann", lambda: relay.look().result()) == ("ann", TRACE)
        assert as_tenant("ann", lambda: relay.look_as("bob").result()) == ("bob", TRACE)
    assert relay.look().result() == ("nobody", "")


@pytest.mark.histrio("test", "node")
def test_what_waits_for_another_message_sees_nothing_of_it(histrio_system):
    """Nor does what is read by the thread of a plain handler that waits."""
    looker, other = (histrio_system.spawn(AsyncLooker).result() for _ in range(2))
    relay = histrio_system.spawn(Relay, looker).result()
    calls = [as_tenant("ann", lambda: looker.look_late()), looker.look()]
    assert [call.result() for call in calls] == [("ann", ""), ("nobody", "")]
    relayed = as_tenant("ann", lambda: relay.look_late(looker))
    seen = []
    while not relayed.done():
        seen.append(other.look().result())
        other.look_late().result()
    assert relayed.result() == ("ann", "") and set(seen) == {("nobody", "")}


@pytest.mark.histrio("test", "node")
def test_many_calls_of_two_traces(histrio_system):
    """On one connection, and in the compiled loop."""
    looker = histrio_system.spawn(Looker).result()
    other = TRACE.replace("0af7", "1bf8")
    calls = []
    for number in range(200):
        with histrio.traced(TRACE if number % 2 else other):
            calls.append(looker.look())
    assert [call.result()[1] for call in calls] == [TRACE if number % 2 else other for number in range(200)]


def test_mistakes():
    with pytest.raises(ValueError, match='"nonsense" is no traceparent'), histrio.traced("nonsense"):
        pass
    with pytest.raises(ValueError, match='"tenant" is carried already'):
        histrio.carry(contextvars.ContextVar("tenant"))
    assert histrio.carry(TENANT) is TENANT
