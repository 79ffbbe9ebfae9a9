"""The zygote, with its socket and descriptors as a node gives them."""

import os
import signal
import socket
import subprocess
import sys
import time

import msgpack
import pytest

from histrio import _codec as codec
from histrio import _frames as frames
from histrio._frames import Port
from scripted_node import HERE, memory_file

PATIENCE = 60.0


class Zygote:
    def __init__(self, **setup):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock = ours
        ours.settimeout(PATIENCE)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "histrio._zygote"], pass_fds=[theirs.fileno()],
            env={**os.environ, "HISTRIO_ZYGOTE_FD": str(theirs.fileno()), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()
        self.failures = []
        self.say({"kind": "setup", "path": [HERE], "preload": [], "script": None, **setup})
        self.ready = self.hear()
        while self.ready["kind"] == "failed":
            self.failures.append(self.ready["why"])
            self.ready = self.hear()
        assert self.ready["kind"] == "ready"

    def say(self, message, fds=()):
        socket.send_fds(self.sock, [msgpack.packb(message)], fds)

    def hear(self):
        return msgpack.unpackb(self.sock.recv(1 << 20))

    def fork(self, worker):
        """The worker's port, and its PID; its output is in `output`."""
        ours, theirs = socket.socketpair()
        self.output, write = os.pipe()
        with memory_file(4096) as page, memory_file(65536) as trace:
            self.say({"kind": "fork", "worker": worker}, [theirs.fileno(), page.fileno(), trace.fileno(), write])
        theirs.close()
        os.close(write)
        told = self.hear()
        assert told["kind"] == "forked" and told["worker"] == worker
        port = Port(ours)
        [hello] = port.read(PATIENCE)
        assert hello.kind == frames.HELLO and codec.unpack(hello.payload)["pid"] == told["pid"]
        return port, told["pid"]

    def close(self):
        self.sock.close()
        self.process.wait(30)


@pytest.fixture
def make():
    made = []

    def one(**setup):
        made.append(Zygote(**setup))
        return made[-1]

    yield one
    for each in made:
        each.close()


def start(port, behavior, *args):
    payload = msgpack.packb({"behavior": behavior, "arguments": codec.encode_call(args, {}, None, ""), "path": "", "unit": "u",
                             "epoch": "1", "incarnation": 1})
    port.send(frames.START, 0, 1, "", 1, payload=payload, node=1, id=1)
    port.flush()
    deadline = time.monotonic() + PATIENCE
    while not (came := [one for one in port.read(PATIENCE) if one.kind != frames.LOG]):
        assert time.monotonic() < deadline, "it says nothing"
    [frame] = came
    return frame


def ask(port, method, *args):
    port.send(frames.ASK, 0, 1, method, 2, 30000, payload=codec.encode_call(args, {}, None, ""))
    port.flush()
    while True:
        for frame in port.read(PATIENCE):
            if frame.kind == frames.REPLY:
                return codec.decode_result(frame.payload)


def test_workers_are_forked_with_what_was_imported(make, tmp_path):
    (tmp_path / "slow_module.py").write_text("import os\nPID = os.getpid()\nclass Who:\n    def pid(self): return PID, os.getpid()\n")
    zygote = make(path=[str(tmp_path), HERE], preload=["slow_module"])
    assert zygote.ready == {"kind": "ready", "forks": True, "why": ""}
    for worker in (7, 8):
        port, pid = zygote.fork(worker)
        assert start(port, "slow_module:Who").kind == frames.DONE
        assert ask(port, "pid") == (zygote.process.pid, pid)


def test_it_tells_how_workers_ended(make):
    zygote = make()
    port, pid = zygote.fork(1)
    os.kill(pid, signal.SIGSEGV)
    told = zygote.hear()
    assert (told["kind"], told["worker"], told["pid"]) == ("died", 1, pid)
    assert os.WTERMSIG(told["status"]) == signal.SIGSEGV
    with pytest.raises(frames.Closed):
        port.read(PATIENCE)
    port, pid = zygote.fork(2)
    port.close()
    assert zygote.hear() == {"kind": "died", "worker": 2, "pid": pid, "status": 0}


def test_it_does_not_fork_with_threads(make, tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading, os\nPID = os.getpid()\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "class Who:\n    def pid(self): return PID\n")
    zygote = make(path=[str(tmp_path)], preload=["threaded"])
    assert zygote.ready["forks"] is False and "threaded has started threads" in zygote.ready["why"]
    port, pid = zygote.fork(1)
    assert start(port, "threaded:Who").kind == frames.DONE
    assert ask(port, "pid") == pid


def test_modules_that_cannot_be_imported(make, tmp_path):
    (tmp_path / "broken.py").write_text("raise ValueError('at import')")
    (tmp_path / "leaving.py").write_text("raise SystemExit(5)")
    zygote = make(path=[str(tmp_path), HERE], preload=["broken", "nowhere", "leaving"])
    assert zygote.failures == ["broken: ValueError: at import", "nowhere: ModuleNotFoundError: No module named 'nowhere'", "leaving: SystemExit: 5"]
    ports = [zygote.fork(number)[0] for number in range(3)]
    for port, behavior, text in zip(ports, ("broken:Thing", "leaving:Thing"), (b"ValueError: at import", b"SystemExit: 5")):
        failed = start(port, behavior)
        assert failed.kind == frames.FAILED and text in failed.payload
    assert start(ports[2], "actors:Counter", 1).kind == frames.DONE


def test_the_script_of_a_program(make, tmp_path):
    script = tmp_path / "app.py"
    script.write_text("class Adder:\n    def add(self, k): return k + 1\nif __name__ == '__main__':\n    raise SystemExit('main ran')\n")
    port, _ = make(script=str(script)).fork(1)
    assert start(port, "__main__:Adder").kind == frames.DONE
    assert ask(port, "add", 1) == 2


def test_what_a_library_prints_is_in_the_output(make, tmp_path):
    (tmp_path / "printing.py").write_text("import os\nclass C:\n    def say(self): os.write(1, b'from C\\n'); os.write(2, b'error\\n')\n")
    zygote = make(path=[str(tmp_path)])
    port, _ = zygote.fork(1)
    start(port, "printing:C")
    ask(port, "say")
    assert os.read(zygote.output, 100) == b"from C\nerror\n"


def test_workers_die_with_the_zygote(make):
    zygote = make()
    port, pid = zygote.fork(1)
    zygote.process.kill()
    zygote.process.wait()
    with pytest.raises(frames.Closed):
        port.read(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while os.path.exists(f"/proc/{pid}/cmdline") and open(f"/proc/{pid}/cmdline", "rb").read() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pid}/cmdline") or not open(f"/proc/{pid}/cmdline", "rb").read()
