"""A system of a manifest with actors in Python, asked from outside through the JSON gateway of a real node."""

import asyncio
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

import pytest

import histrio
import outside_actors
from actors import Counter
from carry_actors import Looker

HERE = pathlib.Path(__file__).parent
PATIENCE = 120
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MANIFEST = f"""
apiVersion: histrio.dev/v1alpha1
kind: ActorSystem
metadata: {{name: outside}}
spec:
  nodes: {{replicas: 1}}
  code: {{python: {{path: [{HERE}], preload: [actors], workers: 1}}}}
  actors:
    - name: counter
      behavior: {{python: "actors:Counter"}}
      args: {{start: 5}}
    - name: looker
      behavior: {{python: "carry_actors:Looker"}}
    - name: async-looker
      behavior: {{python: "carry_actors:AsyncLooker"}}
    - name: relay
      behavior: {{python: "outside_actors:Relay"}}
    - name: plain
      behavior: {{python: "actors:Plain"}}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside.yaml").write_text(MANIFEST)
    address = f"127.0.0.1:{free_port()}"
    program = os.path.join(os.path.dirname(os.environ["HISTRIO_NODE"]), "histrio")
    run = subprocess.Popen(
        [program, "run", str(folder / "outside.yaml")], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        env={**os.environ, "HISTRIO_HTTP_ADDRESS": address, "HISTRIO_PYTHON": sys.executable, "XDG_RUNTIME_DIR": str(folder),
             "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_until_it_answers(f"http://{address}", run)
        yield f"http://{address}"
    finally:
        run.send_signal(signal.SIGINT)
        run.wait(PATIENCE)


def wait_until_it_answers(url, run):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with histrio.connect(url) as system:
                system.lookup("counter", Counter).add(0).result()
                system.lookup("plain").add(k=0).result()
                return
        except histrio.ActorError:
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


def test_asks_and_tells(url):
    with histrio.connect(url) as system:
        c = system.lookup("counter", Counter)
        start = c.add(0).result()
        assert start >= 5
        assert c.add(k=2).result() == start + 2
        c.add.tell(3)
        assert c.add(0).result() == start + 5

        async def many():
            return await histrio.gather(*(c.add(1) for _ in range(100)))

        assert sorted(asyncio.run(many())) == list(range(start + 6, start + 106))
        assert any(actor["actor"].endswith("counter") for actor in system.actors())


def test_values(url):
    with histrio.connect(url) as system:
        echo = system.lookup("plain")
        moment = datetime(2026, 11, 23, 12, 0, 0, 500000, tzinfo=timezone.utc)
        for value in ({"a": [1, 2.5, None, True, "é"]}, b"\x00\xff", moment):
            assert echo.same(value=value).result() == value
        with pytest.raises(histrio.EncodingError, match="no plain value"):
            echo.same(value=object())
        with pytest.raises(histrio.EncodingError, match="not both"):
            echo.same(1, value=2)


def ask_with(url, path, headers):
    request = urllib.request.Request(f"{url}/v1/ask/{path}", b"", headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error


@pytest.mark.parametrize("actor", ["looker", "async-looker", "relay"])
def test_the_header_traceparent(url, actor):
    """What comes with a request is the trace of the handler, and of the messages that it sends."""
    assert ask_with(url, f"{actor}/look", {"traceparent": TRACE, "tracestate": "a=b"}) == ["nobody", TRACE]
    later = "cc" + TRACE[2:] + "-whatever"
    assert ask_with(url, f"{actor}/look", {"traceparent": later}) == ["nobody", TRACE], "what version 00 has of it"
    for ignored in (None, "", "nonsense", TRACE.upper(), TRACE[:-1], TRACE + "-more", "ff" + TRACE[2:],
                    f"00-{'0' * 32}-{'1' * 16}-01"):
        assert ask_with(url, f"{actor}/look", {} if ignored is None else {"traceparent": ignored}) == ["nobody", ""]


def test_connected_programs_send_their_trace(url):
    with histrio.connect(url) as system:
        looker, relay = system.lookup("looker", Looker), system.lookup("relay", outside_actors.Relay)
        assert looker.look().result() == ["nobody", ""]
        with histrio.traced(TRACE):
            assert looker.look().result() == ["nobody", TRACE]
            assert relay.look().result() == ["nobody", TRACE]
            relay.note.tell()
            assert relay.look_through(url).result() == ["nobody", TRACE], "an actor that is connected to another system"
        assert relay.noted().result() == TRACE
        assert looker.look().result() == ["nobody", ""], "it was of those messages only"

        async def in_tasks():
            async def look(trace):
                with histrio.traced(trace):
                    return (await looker.look())[1]

            other = TRACE.replace("0af7", "1bf8")
            return await asyncio.gather(*(look(TRACE if number % 2 else other) for number in range(20)))

        assert set(asyncio.run(in_tasks())[1::2]) == {TRACE}


def test_errors(url):
    with histrio.connect(url) as system:
        c = system.lookup("counter", Counter)
        with pytest.raises(histrio.RemoteError, match=r"ValueError: no amount \(actors.py:\d+ in fail\)"):
            c.fail().result()
        with pytest.raises(histrio.BadArgument, match="missing a required argument"):
            c.add().result()
        with pytest.raises(histrio.NoSuchActor):
            system.lookup("nobody").add(1).result()
        with pytest.raises(histrio.AskTimeout):
            c.sleep.opt(timeout=0.05)(1).result()
        with pytest.raises(histrio.Denied, match="manifest"):
            system.spawn(Counter)
    with pytest.raises(histrio.SystemClosed):
        c.add(1)


def test_nobody_is_there():
    with histrio.connect(f"http://127.0.0.1:{free_port()}") as system:
        with pytest.raises(histrio.Unavailable, match="refused"):
            system.lookup("counter").add(1).result()
    with pytest.raises(ValueError, match="address of a gateway"):
        histrio.connect("ftp://bank")


def test_a_connection_that_the_gateway_closed_is_made_anew():
    """A server that answers each connection once and closes it."""
    import threading

    server = socket.create_server(("127.0.0.1", 0))
    closed = threading.Semaphore(0)

    def serve():
        for _ in range(3):
            connection, _ = server.accept()
            with connection:
                read_request(connection)
                body = b'{"value": 7, "node": "n"}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            closed.release()

    def read_request(connection):
        """All of it: who closes a connection with something unread breaks it."""
        with connection.makefile("rb") as request:
            left = 0
            while (line := request.readline().lower()) not in (b"\r\n", b""):
                if line.startswith(b"content-length:"):
                    left = int(line.split(b":")[1])
            request.read(left)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with histrio.connect(f"http://127.0.0.1:{server.getsockname()[1]}") as system, server:
        for _ in range(3):
            assert system.lookup("counter").add(1).result() == 7
            assert closed.acquire(timeout=PATIENCE)
            time.sleep(0.05)  # the end of a connection is under way
        thread.join(PATIENCE)
