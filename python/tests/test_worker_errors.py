"""What handlers raise and what cannot be read, sent or started: the worker process against a scripted node."""

import msgpack
import pytest

import actors
import histrio
from histrio import _buffers as buffers
from histrio import _codec as codec
from histrio import _frames as frames


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


def test_arguments_that_cannot_be_read(node):
    slot = node.start("actors:Counter")
    number = node.deliver(frames.ASK, slot, "add", codec.wrap(codec.PICKLE, b"cno_such\nthing\n."), timeout_ms=30000)
    node.port.flush()
    end = node.end_of(number)
    assert (end.kind, end.code) == (frames.ERROR, 8) and "No module named 'no_such'" in end.payload.decode()
