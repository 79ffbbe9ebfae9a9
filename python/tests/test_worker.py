"""The worker process against a scripted node."""

import functools
import os
import random
import signal
import socket
import time

import msgpack
import pytest

import histrio
from actors import Counter
from histrio import _codec as codec
from histrio import _frames as frames
from histrio._options import Address
from histrio._page import page_of
from histrio._ref import make_ref
from scripted_node import memory_file


def test_hello(node):
    assert node.hello["protocol"] == 1 and node.hello["role"] == "worker" and node.hello["pid"] == node.process.pid


def test_asks_and_tells_in_order(node):
    slot = node.start("actors:Counter", 5)
    assert node.ask(slot, "add", 1) == 6
    node.tell(slot, "add", 10)
    assert node.ask(slot, "add", k=1) == 17
    numbers = [node.send(slot, "add", 1) for _ in range(500)]
    node.port.flush()
    assert [node.answer(number) for number in numbers] == list(range(18, 518))
    assert node.idle()


PLAIN = [
    None, True, False, 0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -1, -32, -33, -128, -129, -32768, -32769,
    -(2**31), -(2**31) - 1, -(2**63), 0.0, -1.5, 1e300, "", "é" * 15, "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65536, b"", b"y" * 255,
    b"y" * 256, b"y" * 65536, [], [1] * 15, [1] * 16, [None] * 65536, {}, {str(i): i for i in range(15)}, {str(i): i for i in range(16)},
    {str(i): None for i in range(65536)}, [[{"a": [b"b", {"c": [1.5]}]}]], functools.reduce(lambda value, _: [value], range(100), 1),
]


def test_values_in_msgpack(node):
    slot = node.start("actors:Echo")
    for value in PLAIN:
        answer = node.ask_plain(slot, "echo", [value]).payload
        assert answer == msgpack.packb([[value], {}]), value
    single = msgpack.unpackb(node.ask_plain(slot, "echo", 1.5).payload)
    assert single == [[1.5], {}]
    assert msgpack.unpackb(node.ask_plain(slot, "echo", {"a": [1], "b": {"c": 2}}).payload) == [[], {"a": [1], "b": {"c": 2}}]
    for none in (b"\xc0", b""):
        number = node.deliver(frames.ASK, slot, "echo", none, timeout_ms=30000)
        node.port.flush()
        assert msgpack.unpackb(node.end_of(number).payload) == [[], {}]
    assert node.ask_plain(slot, "none", None).payload == b"\xc0"
    single_float = node.deliver(frames.ASK, slot, "echo", b"\x91\xca\x3f\xc0\x00\x00", timeout_ms=30000)
    node.port.flush()
    assert msgpack.unpackb(node.end_of(single_float).payload) == [[1.5], {}]


@pytest.mark.parametrize("payload", [b"\x91", b"\x92\x01", b"\x91\x01\x02", b"\xc1", b"\x91\xa1\xff", b"\x91\xd4\x55\x00", b"\xdd\xff\xff\xff\xff",
                                     b"\xdb\xff\xff\xff\xff", b"\x81\x01\x02", b"\x91" * 2000 + b"\x01", b"\xdf\xff\xff\xff\xff\xa1a\x01"])
def test_what_is_no_message_in_msgpack(node, payload):
    slot = node.start("actors:Echo")
    number = node.deliver(frames.ASK, slot, "echo", payload, timeout_ms=30000)
    node.port.flush()
    error = node.end_of(number)
    assert error.kind == frames.ERROR and error.code == 8 and b"arguments cannot be read" in error.payload
    assert msgpack.unpackb(node.ask_plain(slot, "echo", [1]).payload) == [[1], {}]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_lists_that_claim_more_than_there_is(node):
    """Each inside of the other, each with as many items as there are bytes left."""
    slot = node.start("actors:Echo")
    size = 4 * 1024 * 1024
    nested = b"".join(b"\xdd" + (size - 5 * (depth + 1)).to_bytes(4, "big") for depth in range(60))
    before = cpu_seconds(node.process.pid)
    for _ in range(3):
        number = node.deliver(frames.ASK, slot, "echo", nested.ljust(size, b"\xc1"), timeout_ms=30000)
        node.port.flush()
        assert node.end_of(number).code == 8
    assert cpu_seconds(node.process.pid) - before < 0.5


def test_random_bytes_are_read_as_the_package_msgpack_reads_them(node):
    chance = random.Random(7)
    begin = msgpack.packb([1, -5, "ab", b"cd", 2.5, None, [True, {"k": 300}], "x" * 40, 70000, {"m": [], "n": 2**40}])
    slot = node.start("actors:Echo")
    payloads = []
    for _ in range(3000):
        data = bytearray(begin[chance.choice([0, 0, chance.randrange(len(begin))]):])
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        payloads.append(bytes(data[:chance.choice([len(data), chance.randrange(1, len(data) + 1)])]))
    numbers = [node.deliver(frames.ASK, slot, "echo", payload, timeout_ms=60000) for payload in payloads]
    node.port.flush()
    ends = {frame.number: frame for frame in (node.end_of(number) for number in numbers)}
    read = 0
    for number, payload in zip(numbers, payloads):
        try:
            args, kwargs, _, _ = codec.decode_call(payload)
            wanted = codec.pack([list(args), dict(kwargs)], "")
        except Exception:
            wanted = None
        if wanted is None or not all(isinstance(name, str) for name in kwargs):
            assert ends[number].kind == frames.ERROR, payload
        else:
            assert ends[number].payload == wanted, payload
            read += 1
    assert 100 < read < 2900


@pytest.mark.parametrize("expression, answer", [
    ("(1, (2,))", [1, [2]]), ("{1}", [1]), ("__import__('collections').OrderedDict(a=1)", {"a": 1}),
    ("__import__('enum').IntEnum('E', 'a').a", 1), ("bytearray(b'x')", b"x"),
])
def test_results_in_msgpack(node, expression, answer):
    slot = node.start("actors:Echo")
    assert msgpack.unpackb(node.ask_plain(slot, "give", [expression]).payload) == answer


@pytest.mark.parametrize("expression, text", [
    ("object()", b"object is no plain value"), ("2**64", b""), ("-2**63 - 1", b""), ("'\\ud800'", b"surrogates"),
    ("[x := [], x.append(x), x][0]", b""), ("'x' * (4 << 20)", b"bytes are too many"),
    ("['x' * (1 << 20)] * 5", b"bytes are too many"),
])
def test_results_that_are_no_msgpack(node, expression, text):
    slot = node.start("actors:Echo")
    for asked in (expression, "1", expression):
        end = node.ask_plain(slot, "give", [asked])
        assert (end.kind == frames.REPLY) == (asked == "1")
        assert asked == "1" or text in end.payload
    assert node.idle()


def test_plain_values_for_others_than_python(node):
    slot = node.start("actors:Counter", 5)
    assert codec.unpack(node.ask_plain(slot, "add", {"k": 2}).payload) == 7
    assert codec.unpack(node.ask_plain(slot, "add", [3]).payload) == 10
    error = node.ask_plain(slot, "fail", None)
    assert (error.kind, error.code) == (frames.ERROR, 9)
    assert error.payload.decode().startswith("ValueError: no amount (actors.py:")
    assert error.payload.decode().endswith(" in fail)")
    error = node.ask_plain(slot, "refuse", None)
    assert (error.kind, error.code, error.payload) == (frames.ERROR, 8, b"k: above 0")


def test_a_class_without_ceremony(node):
    slot = node.start("actors:Plain", 1, path="plain")
    assert node.ask(slot, "add", 1) == 2
    assert node.ask(slot, "path") == "plain"
    number = node.send(slot, "_hidden")
    node.port.flush()
    assert node.end_of(number).code == 8


def test_the_context(node):
    slot = node.start("actors:Counter", path="tellers.0/counter")
    path, unit, epoch, incarnation, system, name, remaining = node.ask(slot, "where")
    assert (path, unit, epoch, incarnation, system, name) == ("tellers.0/counter", "u", "1.1", 1, "test", "node-0")
    assert 0 < remaining <= 30
    assert node.ask(slot, "me") == make_ref(Address("tellers.0/counter"), Counter)
    unnamed = node.start("actors:Counter")
    assert node.ask(unnamed, "me") == make_ref(Address("", 7, unnamed), Counter)


def test_a_context_that_was_copied_stays_that_of_its_message(node):
    first, second = node.start("actors:Keeper", path="first"), node.start("actors:Keeper", path="second")
    numbers = [node.send(first, "keep"), node.send(second, "paths")]
    node.port.flush()
    assert [node.answer(number) for number in numbers] == [None, ("second", "first")]


def test_an_entry_is_free_though_its_frame_was_written_before():
    """Another thread may have written the answer before its entry was marked; then nothing is left to write, but the entry to tell."""
    ours, theirs = socket.socketpair()
    with ours, theirs, memory_file(4096) as file:
        port, page = frames.port_of(ours), page_of(file.fileno())
        port.serve(page, *[lambda *_: None] * 5)
        while entry := page.begin(5):
            last = entry
        port.send(frames.DONE, 0, 1, "", 5)
        port.flush()
        page.over(last)
        port.flush()
        assert page.begin(6) == last


def test_stop_runs_the_hook_and_comes_last(node):
    slot = node.start("actors:Counter")
    answers = [node.send(slot, "add", 1) for _ in range(3)]
    number = node.deliver(frames.STOP, slot, payload=b"shutdown")
    node.port.flush()
    assert node.end_of(number).kind == frames.DONE
    assert [node.answer(one) for one in answers] == [1, 2, 3]
    assert (slot, "stopping shutdown") in [(actor, told["message"]) for actor, _, told in node.logs]


def test_an_actor_stops_itself(node):
    slot = node.start("actors:Counter")
    assert node.ask(slot, "finish") == "bye"
    failed = node.expect(frames.FAILED)
    assert (failed.number, failed.code, failed.payload) == (0, 1, b"normal")
    slot = node.start("actors:Counter")
    assert node.ask(slot, "finish", "out of money") == "bye"
    failed = node.expect(frames.FAILED)
    assert (failed.number, failed.code, failed.payload) == (0, 0, b"out of money")


def test_print_and_logging_carry_the_actor(node):
    slot = node.start("actors:Counter")
    node.ask(slot, "say", "hello")
    seen = [(actor, level, told) for actor, level, told in node.logs if actor == slot]
    assert (slot, 1, {"message": "hello", "stream": "stdout"}) in seen
    assert (slot, 1, {"message": "and no end", "stream": "stdout"}) in seen
    assert (slot, 2, {"message": "logged hello", "logger": "bank"}) in seen


def test_timers(node):
    slot = node.start("actors:Ticking")
    timer = node.expect(frames.TIMER_START)
    assert (timer.actor, timer.method, timer.number, timer.timeout_ms, timer.id) == (slot, "tick", 1, 30000, 30000)
    number = node.deliver(frames.TIMER, slot, "tick", id=1)
    node.port.flush()
    assert node.end_of(number).kind == frames.DONE
    assert node.ask(slot, "count") == 1


def test_exits_are_trapped(node):
    slot = node.start("actors:Watching")
    trap = node.expect(frames.TRAP)
    assert (trap.actor, trap.code) == (slot, 1)
    number = node.deliver(frames.EXIT, slot, payload=b"shutdown", name="ledger")
    node.port.flush()
    assert node.end_of(number).kind == frames.DONE
    [(who, reason)] = node.ask(slot, "list")
    assert reason == "shutdown" and "ledger" in repr(who)


def test_an_answer_is_not_held_back_by_a_slow_handler(node, tmp_path):
    slot = node.start("actors:Counter")
    quick = node.send(slot, "add", 1)
    slow = node.send(slot, "wait_for", str(tmp_path / "go"))
    node.port.flush()
    assert node.answer(quick) == 1
    assert node.settles(lambda: node.table() == [slow] and node.busy()[2] == slow and node.busy()[0] > 0)
    (tmp_path / "go").touch()
    assert node.answer(slow) == 1
    assert node.idle()


def test_a_fault_leaves_its_stack(node):
    slot = node.start("actors:Counter")
    number = node.send(slot, "crash")
    node.port.flush()
    node.process.wait(30)
    assert node.process.returncode == -signal.SIGSEGV
    assert node.table() == [number]
    assert "in crash" in node.traced() and "actors.py" in node.traced()


def test_the_stack_of_a_handler_on_demand(node, tmp_path):
    slot = node.start("actors:Counter")
    number = node.send(slot, "wait_for", str(tmp_path / "go"))
    node.port.flush()
    deadline = time.monotonic() + 30
    while "in wait_for" not in node.traced() and time.monotonic() < deadline:
        if node.table():
            node.process.send_signal(signal.SIGUSR1)
        time.sleep(0.05)
    assert "in wait_for" in node.traced()
    (tmp_path / "go").touch()
    assert node.answer(number) == 0


def test_a_forked_child_may_print(node):
    assert node.ask(node.start("actors:Counter"), "fork_and_say") == 7
    assert not node.logs


def test_a_fork_in_an_actor_does_not_speak_for_it(node):
    slot = node.start("actors:Counter")
    child = node.ask(slot, "fork")
    assert child > 0
    assert node.ask(slot, "add", 1) == 1
    assert not [frame for frame in node.came if frame.kind == frames.REPLY]


def test_cancel(node):
    slot = node.start("actors:Counter")
    node.send(slot, "sleep", 0.2)
    late = node.send(slot, "add", 1)
    node.port.flush()
    node.port.send(frames.CANCEL, number=late)
    node.port.flush()
    assert node.end_of(late).kind in (frames.DONE, frames.REPLY)
    slot = node.start("actors:Slow")
    number = node.send(slot, "alone", 1000)
    node.port.flush()
    while number not in node.table():
        time.sleep(0.01)
    waiting = node.send(slot, "alone", 1000)
    node.port.send(frames.CANCEL, number=waiting)
    node.port.flush()
    assert node.end_of(waiting).kind == frames.DONE
    node.port.send(frames.CANCEL, number=number)
    node.port.flush()
    assert node.end_of(number).kind == frames.DONE
    assert node.ask(slot, "seen") == ["cancelled"]


def test_expired_messages_are_not_begun(node):
    slot = node.start("actors:Counter")
    node.send(slot, "sleep", 0.3)
    late = node.send(slot, "add", 1, timeout_ms=50)
    node.port.flush()
    assert node.end_of(late).kind == frames.DONE
    assert node.ask(slot, "add", 1) == 1


def test_dropped_actors_are_forgotten(node):
    slot = node.start("actors:Counter")
    node.port.send(frames.DROP, 0, slot)
    other = node.start("actors:Counter", 5)
    assert node.ask(other, "add", 0) == 5


def test_the_worker_ends_with_its_node(node):
    node.port.shutdown()
    assert node.process.wait(30) == 0


def test_idempotency_keys(node):
    slot = node.start("actors:Counter")
    assert node.ask(slot, "add", 1, context={"key": "a"}) == 1
    assert node.ask(slot, "add", 1, context={"key": "a"}) == 1
    assert node.ask(slot, "add", 1, context={"key": "b"}) == 2
    assert node.ask(slot, "sleep", 0, context={"key": "a"}) == 2, "another method's call is another one"


def test_an_idempotency_key_of_tells(node):
    slot = node.start("actors:Counter")
    for _ in range(3):
        assert node.end_of(node.tell(slot, "add", 1, context={"key": "a"})).kind == frames.DONE
    assert node.ask(slot, "add", 1, context={"key": "a"}) == 1
    for _ in range(2):
        assert node.end_of(node.tell(slot, "bad_result", context={"key": "b"})).kind == frames.DONE
    assert node.ask(slot, "add", 0) == 1


def test_an_idempotency_key_of_calls_at_once(node):
    slot = node.start("actors:Keyed")
    numbers = [node.send(slot, "count", context={"key": "a"}) for _ in range(3)]
    number = node.send(slot, "count", context={"key": "b"})
    failing = [node.send(slot, "fail", context={"key": "a"}) for _ in range(3)]
    node.port.flush()
    assert node.ask(slot, "open") == 3
    assert [node.answer(one) for one in [*numbers, number]] == [3] * 4
    for one in failing:
        with pytest.raises(ValueError, match="number 3"):
            node.answer(one)
    assert node.ask(slot, "open") == 3
    with pytest.raises(ValueError, match="number 4"):
        node.ask(slot, "fail", context={"key": "a"})
    assert node.idle()


def test_who_waits_with_an_idempotency_key_takes_the_place_of_one_that_left(node):
    slot = node.start("actors:Keyed")
    numbers = [node.send(slot, "count", context={"key": "a"}) for _ in range(4)]
    node.port.flush()
    assert node.settles(lambda: set(node.table()) == set(numbers))
    for number in numbers[1], numbers[0]:
        node.port.send(frames.CANCEL, number=number)
        node.port.flush()
        assert node.end_of(number).kind == frames.DONE
    assert node.ask(slot, "open") == 2
    assert [node.answer(number) for number in numbers[2:]] == [2, 2]


# ---- async handlers ----


def test_one_message_at_a_time(node):
    slot = node.start("actors:Slow")
    numbers = [node.send(slot, "alone", 0.005) for _ in range(10)]
    node.port.flush()
    assert [node.answer(number) for number in numbers] == [1] * 10


def test_concurrency(node):
    slot = node.start("actors:Slow")
    numbers = [node.send(slot, "together") for _ in range(3)]
    node.send(slot, "open")
    node.port.flush()
    assert {node.answer(number) for number in numbers} == {3}


def test_async_exceptions(node):
    slot = node.start("actors:Slow", path="s")
    with pytest.raises(ValueError, match="async"):
        node.ask(slot, "fail")
    failed = node.end_of(node.tell(slot, "fail"))
    assert failed.kind == frames.FAILED and failed.payload.decode().startswith("ValueError: async (actors.py:")


def test_tasks_end_with_their_actor(node):
    """However that ends."""
    failing, stopping, dropped, stays = (node.start("testing_actors:Restless", number) for number in (1, 2, 3, 4))
    assert node.ask(stays, "listen", 0.1)["beats"] == [1, 2, 3, 4]
    node.tell(failing, "fail")
    node.deliver(frames.STOP, stopping, payload=b"shutdown")
    node.port.send(frames.DROP, 0, dropped)
    node.port.flush()
    assert node.settles(lambda: node.ask(stays, "listen", 0.01)["cleaned"] == [1, 2, 3])
    told = node.ask(stays, "listen", 0.1)
    assert (told["beats"], told["ends"]) == ([4], [1, 2, 3])


def test_handlers_are_no_tasks_of_who_reads_the_port_for_them(node):
    caller, stays = node.start("actors:Caller"), node.start("testing_actors:Restless", 1)
    node.send(caller, "ask", make_ref(Address("ledger"), Counter), 3)
    node.port.flush()
    node.expect(frames.ASK)  # it waits, and its thread reads
    number = node.send(stays, "listen", 0.3)
    node.port.flush()
    assert node.settles(lambda: number in node.table())
    node.port.send(frames.DROP, 0, caller)
    node.port.flush()
    assert node.answer(number)["ends"] == []


def test_many_awaiting_handlers(node):
    slots = [node.start("actors:Slow") for _ in range(600)]
    numbers = [node.send(slot, "alone", 0.5) for slot in slots]
    node.port.flush()
    for number in numbers:
        assert node.answer(number) == 1
    assert node.ask(slots[0], "alone") == 1
    assert node.idle()


def test_plain_handlers_that_find_the_table_full(node):
    """They begin when something is over, though who dispatches sleeps, and though others that waited have ended meanwhile."""
    slots, plain = [node.start("actors:Slow") for _ in range(600)], [node.start("actors:Counter") for _ in range(8)]
    numbers = [node.send(slot, "alone", 1.0) for slot in slots]
    node.port.flush()
    assert node.settles(lambda: len(node.table()) == 4096 // 8 - 3)
    adds = [node.send(slot, "add", 1) for slot in plain]
    gone = [node.send(slot, "add", 1) for slot in plain[:4]]
    node.port.flush()
    for slot in plain[:4]:
        node.deliver(frames.DROP, slot)
    node.port.flush()
    for number in numbers:
        assert node.answer(number) == 1
    assert [node.answer(number) for number in adds[4:]] == [1] * 4
    assert [node.ask(slot, "add", 1) for slot in plain[4:]] == [2] * 4
    assert node.idle() and not [frame for frame in node.came if frame.number in adds[:4] + gone]


def test_blocking_in_the_loop_is_refused(node):
    slot = node.start("actors:Slow")
    with pytest.raises(RuntimeError, match="use await"):
        node.ask(slot, "block", make_ref(Address("x"), Counter))


# ---- streams ----


def pull(node, slot, method, told, *args):
    return node.ask(slot, method, *args, context={"stream": told})


def pull_all(node, slot, method, id, want, *args):
    """The answers of a stream, to its end."""
    answers = [pull(node, slot, method, {"id": id, "want": want, "open": True}, *args)]
    while not answers[-1][1]:
        assert len(answers) < 1000, answers
        answers.append(pull(node, slot, method, {"id": id, "want": want, "open": False}))
    return answers


def pull_in_few(node, slot, method, want, expected, *args):
    """A stream comes in these answers. A generator that takes longer than 2 ms for an item, as it does at times on a busy machine, has
    its items sent one by one, so other answers with the same items are no fault, as long as there are these as well."""
    for number in range(100):
        answers = pull_all(node, slot, method, f"{method}-{number}", want, *args)
        assert sum((items for items, _ in answers), []) == sum((items for items, _ in expected), [])
        assert max(len(items) for items, _ in answers) <= want
        if answers == expected:
            return f"{method}-{number}"
    raise AssertionError(f"the last of many: {answers}")


def test_streams(node):
    slot = node.start("actors:Slow")
    over = pull_in_few(node, slot, "ticks", 3, [([0, 1, 2], False), ([3, 4], True)], 5)
    with pytest.raises(histrio.BadArgument, match="this stream is over"):
        pull(node, slot, "ticks", {"id": over, "want": 3, "open": False})
    words = node.start("actors:Words")
    pull_in_few(node, words, "each", 9, [(["a", "b", "c"], True)], "a b c")
    assert node.ask(words, "each", "x y") == ["x", "y"]
    assert node.ask(slot, "ticks", 3) == [0, 1, 2]


def test_a_stream_ends_early_or_with_an_exception(node):
    slot = node.start("actors:Slow")
    items, over = pull(node, slot, "endless", {"id": "a", "want": 16, "open": True})
    assert items and not over
    node.tell(slot, "endless", context={"stream": {"id": "a", "close": True}})
    deadline = time.monotonic() + 30
    while node.ask(slot, "seen") != ["closed"] and time.monotonic() < deadline:
        pass
    assert node.ask(slot, "seen") == ["closed"]
    assert pull(node, slot, "broken", {"id": "b", "want": 16, "open": True}) == ([1], False)
    with pytest.raises(ValueError, match="after one"):
        pull(node, slot, "broken", {"id": "b", "want": 16, "open": False})


def test_frames_have_the_layout_of_the_document():
    header = frames.HEADER.pack(48, 8, 0, 0, 1, 2, 3, 4, 5, 6, 7)
    assert len(header) == 48
    for offset, size, value in ((0, 4, 48), (4, 1, 8), (8, 4, 1), (12, 4, 2), (16, 8, 3), (24, 4, 4), (28, 4, 5), (32, 8, 6), (40, 8, 7)):
        assert int.from_bytes(header[offset:offset + size], "little") == value
    assert os.path.exists(frames.__file__)
