"""What handlers send and spawn, and how they wait: the worker process against a scripted node."""

import time

import pytest

import histrio
from actors import Counter
from histrio import _codec as codec
from histrio import _frames as frames
from histrio._options import Address
from histrio._ref import make_ref
from scripted_node import pickled


def reply(node, frame, value):
    node.port.send(frames.REPLY, number=frame.number, payload=codec.encode_result(value, True, ""))
    node.port.flush()


@pytest.mark.parametrize("behavior", ["actors:Caller", "actors:Slow"])
def test_a_handler_asks(node, behavior):
    slot = node.start(behavior, path="asker")
    number = node.send(slot, "ask", make_ref(Address("ledger"), Counter), 3, timeout_ms=5000)
    node.port.flush()
    asked = node.expect(frames.ASK)
    assert (asked.actor, asked.method, asked.name) == (slot, "add", "ledger")
    assert 0 < asked.timeout_ms <= 5000
    args, kwargs, context = pickled(asked)
    assert args == (3,) and not kwargs and context["chain"][0][2:] == ("asker", "add")
    reply(node, asked, 42)
    assert node.answer(number) == 42


def test_errors_of_asks(node):
    slot = node.start("actors:Caller")
    for code, kind in ((1, histrio.NoSuchActor), (6, histrio.AskTimeout), (7, histrio.ActorCrashed), (5, histrio.MailboxFull)):
        number = node.send(slot, "ask", make_ref(Address("ledger"), Counter), 3)
        node.port.flush()
        node.port.send(frames.ERROR, code, number=node.expect(frames.ASK).number, payload=b"why")
        node.port.flush()
        with pytest.raises(kind, match="why"):
            node.answer(number)


def test_a_handlers_own_timeout(node):
    slot = node.start("actors:Caller")
    number = node.send(slot, "ask", make_ref(Address("ledger"), Counter), 3, 0.05)
    node.port.flush()
    asked = node.expect(frames.ASK)
    assert node.expect(frames.CANCEL).number == asked.number
    with pytest.raises(histrio.AskTimeout):
        node.answer(number)


def test_others_run_while_a_handler_blocks(node):
    caller, counter = node.start("actors:Caller"), node.start("actors:Counter")
    number = node.send(caller, "ask", make_ref(Address("ledger"), Counter), 3)
    node.port.flush()
    asked = node.expect(frames.ASK)
    for i in range(1, 4):
        assert node.ask(counter, "add", 1) == i
    own = node.send(caller, "add", 1)  # waits for its turn
    node.port.flush()
    assert node.ask(counter, "add", 1) == 4
    reply(node, asked, 42)
    assert node.answer(number) == 42
    assert node.answer(own) == 2
    assert node.ask(counter, "add", 1) == 5 and node.idle()


def test_many_handlers_block_and_end_in_any_order(node):
    callers = [node.start("actors:Caller") for _ in range(8)]
    numbers = [node.send(slot, "ask", make_ref(Address("ledger"), Counter), i) for i, slot in enumerate(callers)]
    node.port.flush()
    asked = {pickled(frame)[0][0]: frame for frame in [node.expect(frames.ASK) for _ in callers]}
    for i in (3, 0, 7, 1, 6, 2, 5, 4):
        reply(node, asked[i], i * i)
    assert [node.answer(number) for number in numbers] == [i * i for i in range(8)]
    assert [node.ask(slot, "add", 1) for slot in callers] == [2] * 8
    assert node.idle()


@pytest.mark.parametrize("behavior", ["actors:Caller", "actors:Slow"])
def test_a_circle_of_asks_is_found(node, behavior):
    slot = node.start(behavior, path="a")
    number = node.send(slot, "ask", make_ref(Address("b"), Counter), 3)
    node.port.flush()
    asked = node.expect(frames.ASK)
    chain = pickled(asked)[2]["chain"] + ((1, 1, "b", "add"),)
    back = node.send(slot, "add", 1, context={"chain": chain})
    node.port.flush()
    with pytest.raises(histrio.DeadlockError) as found:
        node.answer(back)
    assert found.value.cycle == ["a", "b", "a"]
    reply(node, asked, 1)
    assert node.answer(number) == 1


def test_an_actor_that_asks_itself(node):
    slot = node.start("actors:Caller", path="a")
    number = node.send(slot, "ask", make_ref(Address("a"), Counter), 3)
    node.port.flush()
    asked = node.expect(frames.ASK)
    back = node.deliver(frames.ASK, slot, "add", asked.payload, timeout_ms=30000)
    node.port.flush()
    end = node.end_of(back)
    node.port.send(frames.REPLY, number=asked.number, payload=end.payload)
    node.port.flush()
    with pytest.raises(histrio.DeadlockError, match="a -> a"):
        node.answer(number)


def test_an_ask_that_nobody_waits_for_makes_no_circle(node):
    slot = node.start("actors:Caller", path="a")
    assert node.ask(slot, "fire", make_ref(Address("b"), Counter), 3) == "fired"
    chain = pickled(node.expect(frames.ASK))[2]["chain"]
    assert node.ask(slot, "add", 1, context={"chain": chain}) == 2


def test_tells_and_plain_asks_of_handlers(node):
    slot = node.start("actors:Caller")
    node.tell(slot, "tell", make_ref(Address("", 7, 9), Counter), 3)
    told = node.expect(frames.TELL)
    assert (told.name, told.node, told.id, told.method) == ("", 7, 9, "add") and pickled(told)[0] == (3,)
    number = node.send(slot, "ask_named", "ledger", amount=5)
    node.port.flush()
    asked = node.expect(frames.ASK)
    assert codec.unpack(asked.payload) == {"amount": 5}
    node.port.send(frames.REPLY, number=asked.number, payload=codec.pack({"balance": 5}, ""))
    node.port.flush()
    assert node.answer(number) == {"balance": 5}


@pytest.mark.parametrize("quick", [0, 1, 20])
def test_what_a_handler_sends_does_not_wait_for_its_end(node, tmp_path, quick):
    """Nor does it when its method has always been quick before."""
    slot, other = node.start("actors:PlainLingering"), make_ref(Address("ledger"), Counter)
    for _ in range(quick):
        node.ask(slot, "tell", other, str(tmp_path))
        node.expect(frames.TELL)
    number = node.send(slot, "tell", other, str(tmp_path / "end"))
    node.port.flush()
    assert node.expect(frames.TELL).name == "ledger"
    (tmp_path / "end").touch()
    assert node.answer(number) is None


def test_what_is_logged_and_saved_does_not_wait(node, tmp_path):
    plain, loop = node.start("actors:PlainLingering"), node.start("actors:Lingering")
    for slot, method in ((plain, "say"), (loop, "say"), (loop, "save")):
        node.ask(slot, method, str(tmp_path))
    node.expect(frames.SNAPSHOT)
    node.logs.clear()
    for slot, method in ((plain, "say"), (loop, "say"), (loop, "save")):
        number = node.send(slot, method, str(tmp_path / method))
        node.port.flush()
        if method == "save":
            assert node.expect(frames.SNAPSHOT).actor == loop
        else:
            node.expect_line("async" if slot == loop else "plain")
        (tmp_path / method).touch()
        assert node.answer(number) is None
        (tmp_path / method).unlink()
    node.ask(plain, "say_later", str(tmp_path / "later"))
    time.sleep(0.2)
    (tmp_path / "later").touch()
    node.expect_line("a thread")


def test_arguments_that_cannot_be_sent(node):
    slot = node.start("actors:Caller")
    with pytest.raises(histrio.EncodingError, match=r"add of b: argument 1 \(function\) cannot be sent"):
        node.ask(slot, "unpicklable", make_ref(Address("b"), Counter))


def test_spawn(node):
    slot = node.start("actors:Caller", path="p")
    number = node.send(slot, "spawn", 5)
    node.port.flush()
    spawn = node.expect(frames.SPAWN)
    told = codec.unpack(spawn.payload)
    assert told["name"] == "child" and told["children"] == [] and spawn.actor == slot
    root = told["root"]
    assert root["behavior"] == {"python": "actors:Counter"} and root["isolation"] == "Process"
    assert codec.decode_call(root["arguments"])[:2] == ((5,), {})
    node.port.send(frames.REPLY, number=spawn.number, payload=codec.pack({"path": "p/child", "ref": [7, 99]}, ""))
    node.port.flush()
    assert node.answer(number) == make_ref(Address("p/child"), Counter)
