"""A system of a manifest with actors in Python, asked from outside through the JSON gateway of a real node."""

import asyncio
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

import pytest

import histrio
import outside_actors
from actors import Counter
from carry_actors import Looker
from outside_actors import Arguments

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
    - name: mixed
      behavior: {{python: "outside_actors:Arguments"}}
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


def test_a_child_asks_as_well(url):
    """It has none of its parent's threads."""
    with histrio.connect(url) as system:
        c = system.lookup("counter", Counter)
        before = c.add(0).result()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = int(c.add(1).result(PATIENCE) != before + 1)
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0 and c.add(0).result() == before + 1


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


def test_what_json_would_change_is_refused(url):
    with histrio.connect(url) as system:
        echo = system.lookup("plain")
        for key, named in ((1, "1"), (None, "None"), (True, "True"), (1.5, "1.5"), (b"a", "b'a'"), (("a", 1), "('a', 1)")):
            with pytest.raises(histrio.EncodingError, match=rf"same of plain: .*the key {re.escape(named)} "):
                echo.same(value=[{"a": {key: 1}}])
        for special in ("$bin", "$time"):
            with pytest.raises(histrio.EncodingError, match=rf"\{special}"):
                echo.same(value={special: "AAAA"})
            with pytest.raises(histrio.EncodingError, match=rf"\{special}"):
                echo.same(**{special: "AAAA"})
            for value in ({special: 5}, {special: "x", "b": 1}, {special: b"x"}):
                assert echo.same(value=value).result() == value
        circle = []
        circle.append(circle)
        with pytest.raises(histrio.EncodingError, match="too deep"):
            echo.same(value=circle)


def test_arguments_by_position_and_by_name(url):
    """Who knows the class may mix them; the gateway takes one or the other."""
    with histrio.connect(url) as system:
        mixed = system.lookup("mixed", Arguments)
        assert mixed.usual(1, c=3).result() == [1, 2, 3]
        assert mixed.only(1, c=3).result() == [1, 2, 3]
        assert mixed.more(1, c=3).result() == [1, 3, {}]
        assert mixed.more(1, c=3, d=4).result() == [1, 3, {"d": 4}]
        mixed.usual.tell(1, b=5)
        with pytest.raises(histrio.BadArgument, match="usual of mixed: multiple values for argument 'a'"):
            mixed.usual(1, a=1)
        with pytest.raises(histrio.EncodingError, match="not both"):
            mixed.first(1, c=3)


def test_what_is_too_large(url):
    with histrio.connect(url) as system:
        echo = system.lookup("plain")
        assert echo.same(value="x" * (4 << 20 >> 1)).result() == "x" * (4 << 20 >> 1)
        with pytest.raises(histrio.ValueTooLarge, match="same of plain: .*too large"):
            echo.same(value="x" * (5 << 20)).result()
        with pytest.raises(histrio.ValueTooLarge):
            echo.same.tell(value="x" * (5 << 20))
        assert echo.same(value=1).result() == 1


def test_long_and_short_timeouts(url):
    with histrio.connect(url, timeout=120) as system:
        add = system.lookup("counter", Counter).add
        for timeout in (None, 100, 3600, 99.9995, 0.5, "1m1s"):
            assert add.opt(timeout=timeout)(0).result() >= 5


def test_nobody_watches_from_outside(url):
    with histrio.connect(url) as system:
        with pytest.raises(NotImplementedError, match="gateway"):
            system.watch(system.lookup("counter", Counter))


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


class Answers:
    """A gateway that gives each request the next of its answers, (status, JSON), and notes the requests' traces."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.traces = []
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                gateway.traces.append(self.headers["traceparent"])
                status, told = gateway.answers.pop(0)
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        return self, f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def failed(code):
    return 200, {"error": {"code": code, "text": "not now", "node": "n"}}


VALUE = 200, {"value": 7, "node": "n"}


def test_retries():
    with Answers(failed("Unavailable"), failed("MailboxFull"), failed("Fenced"), VALUE) as (gateway, url):
        with histrio.connect(url) as system, histrio.traced(TRACE):
            assert system.lookup("counter", Counter).add.opt(retries=20)(1).result() == 7
        assert gateway.traces == [TRACE] * 4, "each attempt belongs to the caller's trace"
    with Answers(failed("Unavailable"), failed("Unavailable"), VALUE) as (gateway, url), histrio.connect(url) as system:
        with pytest.raises(histrio.Unavailable):
            system.lookup("counter").add.opt(retries=1)(k=1).result()

        async def awaited():
            return await system.lookup("counter").add.opt(retries=1)(k=1)

        assert asyncio.run(awaited()) == 7
    for code in ("Uncertain", "Timeout", "Crashed", "Application", "NotFound"):
        with Answers(failed(code)) as (gateway, url), histrio.connect(url) as system:
            with pytest.raises(histrio.ActorError, match="not now"):
                system.lookup("counter").add.opt(retries=20)(k=1).result()
            with pytest.raises(histrio.BadArgument, match="no idempotency keys"):
                system.lookup("counter").add.opt(retries=20, idempotency_key="o-17")(k=1)


def test_retries_end_with_the_connection_and_with_the_call():
    with Answers(*[failed("Unavailable")] * 1000) as (_, url):
        with histrio.connect(url) as system:
            add = system.lookup("counter").add.opt(retries=1_000_000)
            call = add(k=1)
            with pytest.raises(histrio.AskTimeout):
                call.result(timeout=0.1)
            call = add(k=1)
        with pytest.raises(histrio.SystemClosed):
            call.result(timeout=PATIENCE)


@pytest.mark.parametrize("status,told,error", [
    (413, {"error": "the request's body is too large"}, histrio.ValueTooLarge),
    (414, {"error": "the path is too long"}, histrio.BadArgument),
    (503, {"error": "stopping"}, histrio.Unavailable),
    (403, {"message": "no"}, histrio.Denied),
    (502, {}, histrio.Uncertain),
    (200, ["what is no gateway"], histrio.Uncertain),
])
def test_answers_that_are_not_an_actors(status, told, error):
    with Answers((status, told), (status, told)) as (_, url), histrio.connect(url) as system:
        with pytest.raises(error) as found:
            system.lookup("counter").add(k=1).result()
        assert type(found.value) is error and str(found.value).startswith("add of counter: ")
        with pytest.raises(error):
            system.actors()


def test_a_connection_that_the_gateway_closed_is_made_anew():
    """A server that answers each connection once and closes it."""
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
