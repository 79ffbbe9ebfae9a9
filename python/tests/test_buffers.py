"""Large data of messages, on a real node: it is not copied through sockets, is writable, and leaves nothing behind."""

import mmap
import os
import pickle
import re
import resource
import signal
import threading
import time

import numpy
import pytest

import histrio
from arrays import Arrays, Relay
from histrio import _buffers as buffers
from histrio import _codec as codec
from histrio import _memory as memory
from histrio._frames import compiled

MIB = 1 << 20
PATIENCE = 30


@pytest.fixture
def arrays(system):
    actor = system.spawn(Arrays, isolation="process").result()
    yield actor
    system.exit(actor)


def node_pid():
    """The node of this program."""
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == os.getpid()]
    return next(int(pid) for pid in pids if "histrio-node" in read(f"/proc/{pid}/cmdline"))


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def parent_of(pid):
    return int((read(f"/proc/{pid}/stat").rpartition(")")[2].split() + [0, 0])[1])


def family(pid):
    """A process and all below it."""
    found = [pid]
    for other in filter(str.isdigit, os.listdir("/proc")):
        if parent_of(other) == pid:
            found += family(int(other))
    return found


def files(pid):
    """Files of large data that a process has open."""
    count = 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                count += "histrio-data" in os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                pass
    except (FileNotFoundError, ProcessLookupError):
        pass  # the process ended meanwhile
    return count


def mappings(pid, permissions=""):
    return sum("histrio-data" in line and permissions in line for line in read(f"/proc/{pid}/maps").splitlines())


def becomes(wanted):
    deadline = time.monotonic() + PATIENCE
    while not wanted() and time.monotonic() < deadline:
        time.sleep(0.005)
    return wanted()


def nothing_is_left():
    """Neither descriptors nor mappings, in any process of the system."""
    everybody = family(os.getpid())
    return becomes(lambda: not any(files(pid) + mappings(pid) for pid in everybody))


# ---- what comes and goes ----


@pytest.mark.parametrize("size", [1, 100_000, 5 * MIB, 5 * MIB + 1])
def test_arrays_are_writable_and_nobody_elses(arrays, size):
    values = numpy.zeros(size, numpy.uint8)
    back = arrays.add_one(values).result()
    assert values[0] == 0, "the sender's own is untouched"
    assert back[0] == 1 and back[-1] == (1 if size == 1 else 0) and len(back) == size
    assert arrays.kept().result()[0] == 1
    back[0] = 7
    assert arrays.kept().result()[0] == 1, "the actor's own is untouched as well"
    again = arrays.add_one(back).result()
    assert (again[0], back[0]) == (8, 7)


def test_shapes_and_kinds(arrays):
    matrix = numpy.arange(500_000.0).reshape(500, 1000)
    for one in (matrix, numpy.asfortranarray(matrix), matrix[::2], matrix.T):
        assert (arrays.same(one).result() == one).all()
    matrix.flags.writeable = False
    back = arrays.same(matrix).result()
    assert (back == matrix).all() and not back.flags.writeable, "what is read-only stays so"


def test_many_buffers_and_small_ones(arrays):
    sizes = [0, 1, buffers.LARGE - 1, buffers.LARGE, buffers.LARGE + 1, MIB, 3 * MIB]
    given = {f"a{n}": numpy.full(size, n, numpy.uint8) for n, size in enumerate(sizes)}
    for back in (arrays.same(given).result(), arrays.same(values=given).result()):
        assert all((back[name] == value).all() and len(back[name]) == len(value) for name, value in given.items())


def test_large_pickles(arrays):
    for value in (b"x" * (MIB - 60), b"x" * MIB, b"x" * 9 * MIB, "y" * 5 * MIB, list(range(2_000_000)), bytearray(6 * MIB)):
        assert arrays.same(value).result() == value
    mixed = (b"z" * 5 * MIB, numpy.ones(MIB))
    back = arrays.same(mixed).result()
    assert back[0] == mixed[0] and (back[1] == mixed[1]).all()


def test_anything_with_a_buffer(arrays):
    """PEP 574 without NumPy: what comes of a PickleBuffer is a view."""
    back = arrays.view(pickle.PickleBuffer(bytearray(2 * MIB))).result()
    back[5] = 1
    assert isinstance(back, memoryview) and len(back) == 2 * MIB and bytes(back[4:7]) == b"\0\1\0"


def test_every_way_of_sending(system, arrays):
    arrays.keep.tell(numpy.full(MIB, 3.0))
    assert (arrays.kept().result() == 3).all()
    assert [float(one.sum()) for one in arrays.rows(4, MIB)] == [0, MIB, 2 * MIB, 3 * MIB]
    calls = [arrays.total(numpy.full(MIB, float(n))) for n in range(20)]
    assert histrio.gather(*calls).result() == [float(n * MIB) for n in range(20)]
    pool = system.pool(Arrays, size=2).result()
    assert list(pool.map(Arrays.total, [numpy.full(MIB, float(n)) for n in range(10)])) == [float(n * MIB) for n in range(10)]
    relay = system.spawn(Relay, isolation="process").result()
    back = relay.pass_on(arrays, numpy.zeros(MIB)).result()
    assert back[0] == 1 and back[1] == 0


def test_keys_keep_small_answers_only(arrays):
    keyed = arrays.same.opt(idempotency_key="k")
    assert len(keyed(numpy.ones(1000)).result()) == 1000
    with pytest.raises(histrio.ValueTooLarge, match="the result of same of .*it is kept: .* at most 4194304"):
        arrays.same.opt(idempotency_key="l")(numpy.ones(MIB)).result()
    with pytest.raises(histrio.ValueTooLarge, match=r"Arrays\(\): .* at most 4194304"):
        arrays.spawn_below(MIB).result()


# ---- files that are used again ----


def file_of(fd):
    return os.fstat(fd).st_ino


def test_a_file_is_filled_again_when_nobody_has_it():
    began = time.monotonic()
    first, second = (memoryview(bytes([n]) * (3 * MIB)) for n in (1, 2))
    fd = memory.filled([first], [0], 3 * MIB)
    number = file_of(fd)
    with pytest.raises(OSError):
        os.pwrite(fd, b"x", 0)
    mapping = memory.mapped(fd, 3 * MIB)
    other = memory.filled([second], [0], 3 * MIB)
    number_of_other = file_of(other)
    assert number_of_other != number and mapping[0] == 1, "it is mapped"
    os.close(other)
    del mapping
    again = memory.filled([second], [0], 3 * MIB)
    assert os.pread(again, 2, 0) == b"\2\2"
    is_too_late = time.monotonic() - began >= memory.IDLE  # then files that nobody wanted were given back
    assert is_too_late or file_of(again) in (number, number_of_other)
    os.close(again)


def test_what_came_goes_back_in_its_file():
    content = os.urandom(2 * MIB)
    fd = memory.filled([memoryview(content)], [0], 2 * MIB)
    number = file_of(fd)
    whole = memoryview(memory.mapped(fd, 2 * MIB))
    part = whole[5000 : MIB]
    assert sum(part[::1000]) > 0
    for change in ({}, {5000: 7, 100_000: 8}):
        for place, value in change.items():
            whole[place] = value
        fd, size, places, patches = memory.again([part])
        assert (file_of(fd), size, places, len(patches)) == (number, 2 * MIB, [5000], len(change))
        back = bytearray(os.pread(fd, size, 0))
        for place, changed in patches:
            back[place : place + len(changed)] = changed
        assert back[5000:MIB] == part
        os.close(fd)
    for place in range(0, 2 * MIB, 4096):
        whole[place] = 1
    assert memory.again([whole]) is None, "a copy costs less"
    assert memory.again([memoryview(bytearray(MIB))]) is None


def test_memory_at_the_place_of_what_came_before_is_not_taken_for_it():
    """A mapping is gone before Python tells that its object is, and the kernel gives its place to the next one."""
    fd = memory.filled([memoryview(b"\1" * 8 * MIB)], [0], 8 * MIB)
    until = time.monotonic() + 2

    def receive():
        while time.monotonic() < until:
            mapping = memory.mapped(os.dup(fd), 8 * MIB)
            mapping[:: 8 * 4096]  # so that it takes a while to be unmapped
            del mapping

    receiver = threading.Thread(target=receive)
    receiver.start()
    wrong = 0
    while time.monotonic() < until and not wrong:
        other = mmap.mmap(-1, 8 * MIB)
        found = memory.again([memoryview(other)])
        if found is not None:
            os.close(found[0])
            wrong += 1
    until = 0
    receiver.join()
    os.close(fd)
    assert not wrong


def test_what_came_in_a_mapping_that_was_closed_is_forgotten():
    fd = memory.filled([memoryview(b"\1" * 2 * MIB)], [0], 2 * MIB)
    mapping = memory.mapped(fd, 2 * MIB)
    mapping.close()
    assert memory.again([memoryview(mmap.mmap(-1, 2 * MIB))]) is None  # most probably at the same place


def test_a_file_that_is_used_again_is_mapped(monkeypatch):
    """Unless the memory of this process is limited, or it has no compiled module; what is written is the same."""
    def send(content):
        fd = memory.filled([memoryview(content), memoryview(content[:MIB])], [0, 4 * MIB], 5 * MIB)
        assert os.pread(fd, len(content), 0) == content and os.pread(fd, 6 * MIB, 4 * MIB) == content[:MIB]
        os.close(fd)

    def mapped_after_three():
        """None: it took so long that files which nobody wants can have been given back."""
        assert becomes(lambda: mappings(os.getpid(), " rw-s ") == 0), "those of before are given back"
        began = time.monotonic()
        for _ in range(3):
            send(os.urandom(3 * MIB))
        found = mappings(os.getpid(), " rw-s ")
        return found if time.monotonic() - began < memory.IDLE else None

    found = next(found for found in (mapped_after_three() for _ in range(30)) if found is not None)
    assert found == (compiled() is not None)
    send(os.urandom(4 * MIB))  # the file has more pages now than when it was mapped
    assert becomes(lambda: mappings(os.getpid()) == 0), "it is given back"
    limit = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, limit[1]))
    try:
        for _ in range(3):
            send(os.urandom(3 * MIB))
        assert mappings(os.getpid()) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limit)


@pytest.mark.skipif(os.environ.get("HISTRIO_PURE") == "1", reason="it is what the compiled module does")
@pytest.mark.parametrize(("place", "start", "size"), [(0, 0, 16 * MIB), (5, 3, 16 * MIB + 77), (64, 1, 16 * MIB - 1), (4095, 0, 17 * MIB), (1, 1, 0)])
def test_copies_into_a_mapping(place, start, size):
    content = memoryview(os.urandom(18 * MIB))[start : start + size]
    mapping = mmap.mmap(-1, 18 * MIB)
    compiled().copy(mapping, place, content)
    assert mapping[place : place + size] == content
    assert not any(mapping[:place]) and not any(mapping[place + size : place + size + 4096]), "nothing beside it"
    with pytest.raises(ValueError):
        compiled().copy(mapping, 18 * MIB - size + 1, content)


# ---- what is left ----


def test_nothing_is_left(arrays):
    kept = arrays.same(numpy.ones(MIB)).result()
    assert mappings(os.getpid(), " rw-p ") == 1, "of what came; files of ours are shared"
    part = kept[:10]
    del kept
    assert mappings(os.getpid(), " rw-p ") == 1 and part[9] == 1, "a view keeps the whole"
    del part
    arrays.keep(None).result()
    assert nothing_is_left()


def test_queued_messages_survive_a_crash(arrays):
    """They see what was sent, and nothing leaks with the process that died."""
    waiting = arrays.hold(0.3)
    calls = [arrays.add_one(numpy.full(MIB, float(n))) for n in range(5)]
    dies = arrays.crash()
    behind = [arrays.add_one(numpy.full(MIB, float(n))) for n in range(5, 10)]
    waiting.result()
    with pytest.raises(histrio.ActorCrashed, match="SIGSEGV"):
        dies.result()
    for n, call in enumerate(calls + behind):
        assert call.result()[0] == n + 1
    del call, calls, behind
    arrays.keep(None).result()
    assert nothing_is_left()


def test_holders_that_die_leave_nothing(system, tmp_path):
    """A receiver is killed with messages queued and in use, and never comes back; a sender while its message waits."""
    node = node_pid()
    victim = system.spawn(Arrays, isolation="process", restart="temporary").result()
    pid = victim.pid().result()
    victim.keep(numpy.ones(MIB)).result()
    held = victim.hold(60)
    calls = [victim.same(numpy.ones(MIB)) for _ in range(8)]
    assert becomes(lambda: files(node) == 8)
    os.kill(pid, signal.SIGKILL)
    for call in [held, *calls]:
        with pytest.raises((histrio.ActorCrashed, histrio.NoSuchActor)):
            call.result()
    assert nothing_is_left()

    slow, relay = system.spawn(Arrays, isolation="process").result(), system.spawn(Relay, isolation="process").result()
    pid = relay.pid().result()
    slow.hold_until.tell(str(tmp_path / "go"))
    passing = relay.pass_on(slow, numpy.ones(MIB))
    assert becomes(lambda: files(node) == 2), "one is with the relay, one waits for the slow one"
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(histrio.ActorCrashed):
        passing.result()
    (tmp_path / "go").touch()
    assert slow.kept().result()[0] == 2, "its message was sent"
    slow.keep(None).result()
    assert nothing_is_left()


# ---- what is refused ----


def test_too_large(arrays):
    nothing = mmap.mmap(-1, buffers.FILE_MAX + 4096)  # takes no memory, as nobody looks at it
    with pytest.raises(histrio.ValueTooLarge, match=r"same of local/arrays-\d+: \d+ bytes are too many; a message holds at most 1073741824"):
        arrays.same(pickle.PickleBuffer(nothing))
    assert arrays.same(1).result() == 1


def test_no_descriptors(arrays, monkeypatch):
    def none_left(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", none_left)
        with pytest.raises(histrio.EncodingError, match="same of .*no memory for 8421376 bytes of large data.*Too many open files"):
            arrays.same(numpy.ones(MIB + 4096))  # of this size there is no file yet
    assert len(arrays.same(numpy.ones(MIB)).result()) == MIB


def test_a_node_without_descriptors(arrays):
    node = node_pid()
    was = resource.prlimit(node, resource.RLIMIT_NOFILE)

    def is_refused():
        """With a limit at the first free number; the node may free another one, of an actor that ended, behind our back."""
        used = set(map(int, os.listdir(f"/proc/{node}/fd")))
        resource.prlimit(node, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), was[1]))
        try:
            arrays.same(numpy.ones(MIB)).result()
        except histrio.MailboxFull as error:
            return re.search("same of .*no more descriptors", str(error))
        return False

    try:
        assert becomes(is_refused)
        assert arrays.same(1).result() == 1, "what needs none goes on"
    finally:
        resource.prlimit(node, resource.RLIMIT_NOFILE, was)
    assert len(arrays.same(numpy.ones(MIB)).result()) == MIB


def test_a_receiver_without_memory(monkeypatch):
    monkeypatch.setenv("HISTRIO_PYTHON_MEMORY_BYTES", str(400 * MIB))
    with histrio.local(workers=1) as small:
        one = small.spawn(Arrays).result()
        with pytest.raises(histrio.BadArgument, match="the arguments cannot be read: OSError.* Cannot allocate memory"):
            one.same(pickle.PickleBuffer(bytearray(500 * MIB))).result()
        assert one.same(1).result() == 1


def test_bytes_without_a_file():
    """As they come from other nodes, and between actors of the testing kit: behind the payload."""
    given = {"a": numpy.arange(100_000), "b": numpy.ones(300_000)}
    payload = buffers.inlined(codec.encode_call((given,), {}, None, "m"))
    (back,), _, _, is_pickle = codec.decode_call(payload)
    assert is_pickle and (back["a"] == given["a"]).all() and (back["b"] == given["b"]).all()
    back["a"][0] = 5


@pytest.mark.parametrize("size", [MIB, 3 * MIB + 1, 4 * MIB - 4097, 4 * MIB - 300])
def test_what_others_hold_is_not_made_larger(size):
    """For actors on other nodes a message of at most 4 MiB has the file's bytes behind it, so none is to be lost to whole pages."""
    assert len(buffers.inlined(buffers.encode_pickle(bytes(size)))) <= 4 * MIB
    beside = codec.encode_call((b"x" * 100_000, numpy.zeros(size - 101_000, numpy.uint8)), {}, None, "m")
    assert len(buffers.inlined(beside)) <= 4 * MIB


def test_pickles_of_nearly_one_size_share_a_file():
    one, other = buffers.encode_pickle(bytes(2 * MIB + 5)), buffers.encode_pickle(bytes(2 * MIB + 600))
    assert os.fstat(one.fd).st_size == os.fstat(other.fd).st_size


def test_places_are_checked():
    told = buffers._FILE_SIZE.pack(4096) + pickle.dumps(([(4000, 200)], pickle.dumps(1), ()), 5) + bytes(4096)
    with pytest.raises(ValueError, match="not where it should be"):
        buffers.decode(codec.wrap(buffers.EXT, told))
    short = os.memfd_create("histrio-data")
    os.truncate(short, 4096)
    told = buffers._FILE_SIZE.pack(8192) + pickle.dumps(([(0, 5000)], pickle.dumps(1), ()), 5)
    with pytest.raises(ValueError):
        buffers.decode(buffers.attach(codec.wrap(buffers.EXT, told), short))
