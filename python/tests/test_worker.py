"""The worker process against a scripted node."""

import functools
import os
import random
import signal
import socket
import time

import msgpack
import pytest

import actors
import histrio
from actors import Counter
from histrio import _buffers as buffers
from histrio import _codec as codec
from histrio import _frames as frames
from histrio._options import Address
from histrio._page import page_of
from histrio._ref import make_ref
from scripted_node import ScriptedNode, memory_file, pickled


@pytest.fixture
def node():
    it = ScriptedNode()
    yield it
    it.close()


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


def test_an_exception_of_an_ask_goes_to_the_asker_and_the_actor_lives(node):
    slot = node.start("actors:Counter", path="c")
    with pytest.raises(ValueError, match="no amount") as found:
        node.ask(slot, "fail")
    cause = found.value.__cause__
    assert isinstance(cause, histrio.RemoteError)
    assert (cause.actor, cause.method, cause.type_name) == ("c", "fail", "builtins:ValueError")
    assert 'raise ValueError(text)' in cause.traceback and "_handling" not in cause.traceback
    assert node.ask(slot, "add", 1) == 1


@pytest.mark.parametrize("expression, type_, text, attributes", [
    ("NotEnough(5)", actors.NotEnough, "only 5 left", {}),
    ("NoAmount('ann', 5)", actors.NoAmount, "ann has no 5", {"amount": 5}),
    ("ValueError('plain', [1.5, float('nan')], {'a': object()})", ValueError, "('plain', [1.5, nan], {'a': <object", {}),
    ("FileNotFoundError(2, 'no such file', '/etc/x')", FileNotFoundError, "[Errno 2] no such file: '/etc/x'", {"filename": "/etc/x"}),
    ("ExceptionGroup('both', [ValueError(1), NoAmount('bob', 6)])", None, "ExceptionGroup: both (2 sub-exceptions)", {}),
    ("Elsewhere('ann', '/a')", None, "[Errno 2] not with ann: '/a'", {}),
    ("Exception(lambda: 1)", None, "Exception: <function", {}),
])
def test_exceptions_arrive_as_they_were_or_as_text(node, expression, type_, text, attributes):
    """None: as a RemoteError."""
    slot = node.start("actors:Counter")
    with pytest.raises(Exception) as found:
        node.ask(slot, "raise_", expression)
    assert type(found.value) is (type_ or histrio.RemoteError) and text in str(found.value)
    assert type_ is None or str(found.value).startswith(text)
    for name, value in attributes.items():
        assert getattr(found.value, name) == value
    assert node.ask(slot, "add", 1) == 1


@pytest.mark.parametrize("behavior, expression, type_name", [
    ("actors:Counter", "StopIteration(5)", "builtins:StopIteration"), ("actors:Counter", "Enough()", "actors:Enough"),
    ("actors:Counter", "StopAsyncIteration()", "builtins:StopAsyncIteration"), ("actors:Slow", "StopAsyncIteration()", "builtins:StopAsyncIteration"),
    ("actors:Counter", "GeneratorExit()", "builtins:GeneratorExit"), ("actors:Slow", "GeneratorExit()", "builtins:GeneratorExit"),
    ("actors:Counter", "KeyboardInterrupt()", "builtins:KeyboardInterrupt"),
    ("actors:Counter", "asyncio.CancelledError()", "asyncio.exceptions:CancelledError"),
    ("actors:Slow", "asyncio.CancelledError('mine')", "asyncio.exceptions:CancelledError"),
])
def test_what_would_end_loops_of_the_asker_is_told_as_a_text(node, behavior, expression, type_name):
    slot = node.start(behavior, path="c")
    with pytest.raises(histrio.RemoteError) as found:
        node.ask(slot, "raise_", expression)
    assert (found.value.actor, found.value.method, found.value.type_name) == ("c", "raise_", type_name)
    assert node.ask(slot, "add", 1) > 0
    failed = node.end_of(node.tell(slot, "raise_", expression))
    assert failed.kind == frames.FAILED and type_name.rpartition(":")[2] in failed.payload.decode()


def test_an_exception_of_a_tell_fails_the_actor(node):
    slot = node.start("actors:Counter")
    number = node.tell(slot, "fail", "no money")
    waiting = node.send(slot, "add", 1)
    node.port.flush()
    failed = node.end_of(number)
    assert (failed.kind, failed.code, failed.actor) == (frames.FAILED, 0, slot)
    assert failed.payload.decode().startswith("ValueError: no money (actors.py:")
    other = node.start("actors:Counter")
    assert node.ask(other, "add", 1) == 1
    assert not [frame for frame in node.came if frame.number == waiting]
    assert any(told.get("traceback", "").startswith("Traceback") for _, level, told in node.logs if level == 3)


def test_long_reasons_are_cut(node):
    slot = node.start("actors:Counter")
    failed = node.end_of(node.tell(slot, "fail", "é" * 400))
    assert len(failed.payload) <= 255 and failed.payload.decode().endswith("in fail)")


@pytest.mark.parametrize("behavior", ["actors:Counter", "actors:Slow"])
def test_texts_that_are_no_unicode(node, behavior):
    """Names of files have such characters. Nobody else in the process suffers from them."""
    bad, shown = "bad \udcff name", b"bad \\udcff name"
    slot, neighbour = node.start(behavior), node.start("actors:Counter")
    node.ask(slot, "say", bad)
    said = [told["message"].encode() for actor, _, told in node.logs if actor == slot]
    assert shown in said and any(line.startswith(b"and ") for line in said)
    with pytest.raises(ValueError, match=bad):
        node.ask(slot, "fail", bad)
    number = node.deliver(frames.ASK, slot, "fail", msgpack.packb(["bad ? name"]), timeout_ms=30000)
    node.port.flush()
    error = node.end_of(number)
    assert error.kind == frames.ERROR and shown in error.payload
    failed = node.end_of(node.tell(slot, "fail", bad))
    assert failed.kind == frames.FAILED and failed.payload.startswith(b"ValueError: " + shown + b" (actors.py:")
    ends = node.start(behavior)
    node.ask(ends, "finish", bad)
    assert node.expect(frames.FAILED).payload == shown
    assert node.ask(neighbour, "add", 1) == 1 and node.idle()


@pytest.mark.parametrize("behavior", ["actors:Counter", "actors:Slow"])
def test_an_exception_that_cannot_be_told_fails_its_actor_alone(node, behavior):
    slot, neighbour = node.start(behavior), node.start("actors:Counter")
    number = node.send(slot, "fail_badly")
    node.port.flush()
    failed = node.end_of(number)
    assert failed.kind == frames.FAILED and failed.payload.startswith(b"SystemExit: no pickle")
    assert node.ask(neighbour, "add", 1) == 1 and node.idle()


def test_on_error_restart(node):
    slot = node.start("actors:Fragile")
    with pytest.raises(ValueError, match="fragile"):
        node.ask(slot, "fail")
    failed = node.expect(frames.FAILED)
    assert failed.number == 0 and failed.payload.decode().startswith("ValueError: fragile")


def test_sys_exit_fails_the_actor_alone(node):
    slot = node.start("actors:Counter")
    number = node.send(slot, "exit")
    node.port.flush()
    failed = node.end_of(number)
    assert failed.kind == frames.FAILED and failed.payload.decode().startswith("SystemExit: 3")
    assert node.ask(node.start("actors:Counter"), "add", 1) == 1


@pytest.mark.parametrize("code, text", [
    ("import sys; sys.exit(5)", "SystemExit: 5"), ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("raise GeneratorExit('odd')", "GeneratorExit: odd"), ("if:", "SyntaxError: invalid syntax (leaving_module.py, line 1)"),
])
def test_a_module_that_exits_fails_its_actor_alone(node, tmp_path, code, text):
    (tmp_path / "leaving_module.py").write_text(code)
    neighbour, other = node.start("actors:Counter", 5), node.start("actors:Slow")
    assert node.ask(neighbour, "import_from", str(tmp_path)) is None
    for _ in range(2):  # a module that could not be imported is imported once more
        failed = node.end_of(node.start("leaving_module:Actor", wait=False))
        assert failed.kind == frames.FAILED
        assert failed.payload.decode().startswith(f'module "leaving_module" of behavior leaving_module:Actor: {text}')
    failed = node.end_of(node.start("actors:LateImport", "leaving_module", wait=False))
    assert failed.kind == frames.FAILED and failed.payload.decode().startswith(text + " (")
    argument = codec.wrap(codec.PICKLE, b"cleaving_module\nthing\n.")
    number = node.deliver(frames.ASK, neighbour, "add", argument, timeout_ms=30000)
    node.port.flush()
    end = node.end_of(number)
    assert (end.kind, end.code) == (frames.ERROR, 8) and text in end.payload.decode()
    assert node.ask(neighbour, "add", 1) == 6 and node.ask(other, "add", 1) == 3


def test_a_syntax_error_has_its_type_and_text(node, tmp_path):
    (tmp_path / "wrong_module.py").write_text("if:")
    slot = node.start("actors:LateImport")
    node.ask(node.start("actors:Counter"), "import_from", str(tmp_path))
    with pytest.raises(SyntaxError) as found:
        node.ask(slot, "load", "wrong_module")
    assert str(found.value.__cause__).startswith("SyntaxError: invalid syntax (wrong_module.py, line 1) in load of ")
    failed = node.end_of(node.tell(slot, "load", "wrong_module"))
    assert failed.payload.startswith(b"SyntaxError: invalid syntax (wrong_module.py, line 1) (")


@pytest.mark.parametrize("behavior", ["actors:ExitsAtTheEnd", "actors:ExitsAtTheEndOfAsync"])
def test_an_actor_that_exits_in_its_last_hook_ends_alone(node, behavior):
    neighbours = node.start("actors:Counter"), node.start("actors:Slow")
    slot = node.start(behavior)
    assert node.ask(slot, "finish") is None
    failed = node.expect(frames.FAILED)
    assert (failed.actor, failed.number) == (slot, 0) and failed.payload.startswith(b"SystemExit: 7 (actors.py:")
    number = node.deliver(frames.STOP, node.start(behavior), payload=b"shutdown")
    node.port.flush()
    assert node.end_of(number).kind == frames.DONE
    assert [node.ask(one, "add", 1) for one in neighbours] == [1, 3]


def test_an_exit_in_a_task_leaves_the_loop_running(node):
    slot = node.start("actors:ExitsAtTheEndOfAsync")
    neighbour = node.start("actors:Slow")
    assert node.ask(slot, "exit_in_a_task") is None
    assert node.ask(neighbour, "add", 1) == 3
    assert node.settles(lambda: node.ask(neighbour, "add", 1) == 3 and any("SystemExit: 8" in told["message"] for _, _, told in node.logs))


@pytest.mark.parametrize("behavior, text", [
    ("nowhere:Counter", "No module named 'nowhere'"),
    ("actors:Nobody", 'has no class "Nobody"'),
    ("actors", "MODULE:CLASS"),
    ("actors:NeedsArgument", "missing 1 required positional argument: 'must'"),
])
def test_what_cannot_be_started_says_why(node, behavior, text):
    failed = node.end_of(node.start(behavior, wait=False))
    assert failed.kind == frames.FAILED and text in failed.payload.decode()


@pytest.mark.parametrize("method, args, text", [
    ("ad", (), 'Counter has no method "ad"; did you mean "add"?'),
    ("add", (), "missing a required argument: 'k'"),
    ("add", (1, 2), "too many positional arguments"),
])
def test_messages_that_make_no_sense(node, method, args, text):
    slot = node.start("actors:Counter")
    number = node.send(slot, method, *args)
    node.port.flush()
    end = node.end_of(number)
    assert (end.kind, end.code) == (frames.ERROR, 8) and text in end.payload.decode()
    assert node.end_of(node.tell(slot, method, *args)).kind == frames.DONE
    assert any(text in told["message"] for _, level, told in node.logs if level == 2)
    assert node.ask(slot, "add", 1) == 1


def test_a_type_error_inside_of_a_method_is_its_own(node):
    slot = node.start("actors:Counter")
    with pytest.raises(TypeError, match="has no len"):
        node.ask(slot, "wrong_inside")


def test_results_that_cannot_be_sent(node):
    slot = node.start("actors:Counter", path="c")
    with pytest.raises(histrio.EncodingError, match="the result of bad_result of c cannot be sent") as found:
        node.ask(slot, "bad_result")
    assert found.value.executed, "the handler ran"
    with pytest.raises(histrio.ValueTooLarge, match="the result of big of c: it is kept: .* at most 4194304") as found:
        node.ask(slot, "big", 5 << 20, context={"key": "k"})
    assert found.value.executed
    with pytest.raises(histrio.BadArgument) as found:
        node.ask(slot, "refuse")
    assert found.value.executed is False, "as the actor says"
    end = node.ask_plain(slot, "bad_result", None)
    assert (end.kind, end.code) == (frames.ERROR, 9), "no bad argument, which says that nothing was executed"
    assert end.payload.startswith(b"histrio._errors.EncodingError: the result of bad_result of c: function is no plain value")
    for size in ((1 << 20) - 100, 1 << 20, 5 << 20):
        number = node.send(slot, "big", size)
        node.port.flush()
        end = node.end_of(number)
        assert isinstance(end.payload, buffers.Attached) == (size >= 1 << 20), "a large one is in a file beside its frame"
        assert len(codec.decode_result(end.payload)) == size


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


def test_arguments_that_cannot_be_read(node):
    slot = node.start("actors:Counter")
    number = node.deliver(frames.ASK, slot, "add", codec.wrap(codec.PICKLE, b"cno_such\nthing\n."), timeout_ms=30000)
    node.port.flush()
    end = node.end_of(number)
    assert (end.kind, end.code) == (frames.ERROR, 8) and "No module named 'no_such'" in end.payload.decode()


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


# ---- asks of handlers ----


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
