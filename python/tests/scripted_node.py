"""The node's side of docs/host.md, played by a test: one worker process, its page and its trace."""

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time

import msgpack

from histrio import _codec as codec
from histrio import _frames as frames
from histrio._frames import Port

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 60.0


def memory_file(size):
    file = tempfile.TemporaryFile()
    file.truncate(size)
    return file


class ScriptedNode:
    """Starts a worker and says to it what a node would."""

    def __init__(self, env=None):
        ours, theirs = socket.socketpair()
        self.page = memory_file(4096)
        self.trace = memory_file(65536)
        fds = (theirs.fileno(), self.page.fileno(), self.trace.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from histrio._worker import serve; serve(*map(int, sys.argv[1:]))", *map(str, fds)],
            pass_fds=fds, env={**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path]), **(env or {})},
        )
        theirs.close()
        self.port = Port(ours)
        self.came = []
        self.logs = []
        self.number = 0
        self.slot = 0
        hello = self.expect(frames.HELLO)
        self.hello = codec.unpack(hello.payload)
        self.port.send(frames.WELCOME, payload=msgpack.packb(
            {"protocol": 1, "system": "test", "node": "node-0", "worker": 0, "value_bytes_max": 1 << 22, "node_uid": 7}))
        self.port.flush()

    # ---- frames ----

    def next(self, wanted, timeout=PATIENCE):
        """The first frame that has come, or comes, for which wanted(frame) is true; others stay."""
        deadline = time.monotonic() + timeout
        while True:
            for frame in self.came:
                if wanted(frame):
                    self.came.remove(frame)
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"it did not come; there is {self.came}, logs {self.logs}")
            self.take(left)

    def expect_line(self, message):
        """Of the log."""
        deadline = time.monotonic() + PATIENCE
        while not any(told["message"] == message for _, _, told in self.logs):
            left = deadline - time.monotonic()
            assert left > 0, f"the line did not come; there are {self.logs}"
            self.take(left)

    def take(self, left):
        for frame in self.port.read(left):
            if frame.kind == frames.LOG:
                self.logs.append((frame.actor, frame.code, codec.unpack(frame.payload)))
            else:
                self.came.append(frame)

    def expect(self, kind, number=None):
        return self.next(lambda frame: frame.kind == kind and number in (None, frame.number))

    def end_of(self, number):
        """The frame that ends a delivery."""
        kinds = (frames.REPLY, frames.ERROR, frames.DONE, frames.FAILED)
        return self.next(lambda frame: frame.kind in kinds and frame.number == number)

    def deliver(self, kind, slot, method="", payload=b"", **told):
        self.number += 1
        self.port.send(kind, 0, slot, method, self.number, payload=payload, **told)
        return self.number

    # ---- what a node does ----

    def start(self, behavior, *args, path="", wait=True, **kwargs):
        self.slot += 1
        payload = msgpack.packb({
            "behavior": behavior, "arguments": codec.encode_call(args, kwargs, None, behavior), "path": path, "unit": "u",
            "epoch": "1.1", "incarnation": 1,
        })
        number = self.deliver(frames.START, self.slot, payload=payload, node=7, id=self.slot)
        self.port.flush()
        if wait:
            end = self.end_of(number)
            assert end.kind == frames.DONE, end
            return self.slot
        return number

    def send(self, slot, method, *args, kind=frames.ASK, context=None, timeout_ms=30000, **kwargs):
        payload = codec.encode_call(args, kwargs, context, method)
        return self.deliver(kind, slot, method, payload, timeout_ms=timeout_ms if kind == frames.ASK else 0)

    def ask(self, slot, method, *args, **kwargs):
        number = self.send(slot, method, *args, **kwargs)
        self.port.flush()
        return self.answer(number)

    def answer(self, number):
        end = self.end_of(number)
        assert end.kind == frames.REPLY, end
        return codec.decode_result(end.payload)

    def tell(self, slot, method, *args, **kwargs):
        number = self.send(slot, method, *args, kind=frames.TELL, **kwargs)
        self.port.flush()
        return number

    def ask_plain(self, slot, method, value):
        """As C actors and clients do: msgpack."""
        number = self.deliver(frames.ASK, slot, method, msgpack.packb(value), timeout_ms=30000)
        self.port.flush()
        return self.end_of(number)

    def table(self):
        """Numbers in the page that are begun and not over."""
        words = memoryview(os.pread(self.page.fileno(), 4096, 0)).cast("Q")
        return [word for word in words[3:] if word]

    def settles(self, wanted):
        """Whether wanted() becomes true: the page is written beside the frames."""
        deadline = time.monotonic() + PATIENCE
        while not wanted() and time.monotonic() < deadline:
            time.sleep(0.002)
        return wanted()

    def idle(self):
        """Whether all deliveries of the page become over."""
        return self.settles(lambda: self.table() == [] and self.busy() == [0, 0, 0])

    def busy(self):
        return memoryview(os.pread(self.page.fileno(), 4096, 0)).cast("Q")[:3].tolist()

    def traced(self):
        return os.pread(self.trace.fileno(), 65536, 0).rstrip(b"\0").decode()

    def close(self):
        self.port.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.page.close()
        self.trace.close()


def pickled(frame):
    """args and kwargs of a message that the worker sent."""
    assert codec.ext_of(frame.payload) == codec.PICKLE, frame
    return pickle.loads(codec.unwrap(frame.payload))
