"""A proxy between a client and an API server that makes the faults of a bad day, by rules; TLS on both sides, HTTP/1.1.

    with ApiServer() as server, FaultProxy(server) as proxy:
        kubeconfig = server.kubeconfig(token, url=proxy.url)
        proxy.add(verb="list", resource="pods", count=2, status=429, retry_after=1)

A rule says which requests, `verb` as in RBAC (a glob, default "*"), `resource` ("pods", "pods/status", a glob), and, if given,
`group`, `namespace`, `name`, `user_agent` (a part of it); lets `skip` of them pass, and then works on `count` (default: all).
The first rule that matches a request and is not used up is the one; what it does:

    delay=SECONDS           before anything else, alone or with one of these
    status=CODE             409, 410, 429, 500 ...: answers so; reason=, message=, retry_after=SECONDS
    drop=True               never answers; the connection stays
    cut="request"           closes the connection before the API server sees the request (a reset)
    cut="answer"            the API server does it, the client sees a reset
    cut=BYTES               a reset in the middle of the answer's body
    stale=True              remembers the first answer to each path and gives it to all later requests
    hold="before"|"after"   (the API server has it) waits for rule.release(); rule.wait_held() tells the test
  and for watches, after the first `events` (default 0) events:
    silent=True             nothing more comes, the connection stays
    end=True                the stream ends as at its timeout
    error_event=CODE        an ERROR event with such a Status, then the end
    duplicate=True          each event comes twice
    reorder=True            neighbours change places

All methods may be called by any thread. proxy.down() and proxy.up(): the API server is away. proxy.requests: what came.
"""

import asyncio
import fnmatch
import json
import socket
import ssl
import struct
import threading
import time
import urllib.parse

REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
           429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
WATCH_ACTIONS = {"silent", "end", "error_event", "duplicate", "reorder"}
ACTIONS = {"status", "drop", "cut", "stale", "hold"} | WATCH_ACTIONS
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
HEAD_BYTES_MAX = 1 << 20
REORDER_SECONDS = 0.2  # an event waits no longer than this for a neighbour to change places with
LEFT_SECONDS = 0.05  # how soon is it seen that the client of a watch has left


class Cut(Exception):
    """The connection to the client ends now, with a reset."""


class Request:
    """What a request wants, in the words of RBAC."""

    def __init__(self, method, target, headers):
        self.time = time.monotonic()
        self.target = target
        self.user_agent = headers.get("user-agent", "")
        self.status = None  # of the answer, once there is one
        self.rule = None  # the rule that worked on it
        address = urllib.parse.urlsplit(target)
        self.path = address.path
        self.query = dict(urllib.parse.parse_qsl(address.query))
        self.group = self.resource = self.namespace = self.name = ""
        self.parse_path([part for part in address.path.split("/") if part])
        if method == "GET":
            named = "get" if self.name else "list"
            self.verb = "watch" if self.query.get("watch") in ("true", "1") else named
        elif method == "DELETE":
            self.verb = "delete" if self.name else "deletecollection"
        else:
            self.verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, method.lower())

    def parse_path(self, parts):
        if parts[:1] == ["api"] and len(parts) > 2:
            parts = parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 3:
            self.group, parts = parts[1], parts[3:]
        else:
            return  # /readyz, /version, discovery
        if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
            self.namespace, parts = parts[1], parts[2:]
        self.resource = parts[0]
        self.name = parts[1] if len(parts) > 1 else ""
        if len(parts) > 2:
            self.resource += "/" + "/".join(parts[2:])

    def __repr__(self):
        place = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.verb} {self.resource or self.path} {place} -> {self.status}"


class Rule:
    """Made by FaultProxy.add(); its numbers may be read by any thread."""

    def __init__(self, loop, verb="*", resource="*", group=None, namespace=None, name=None, user_agent=None, skip=0, count=None,
                 delay=0, events=0, reason=None, message="made by the fault proxy", retry_after=None, **action):
        unknown = set(action) - ACTIONS
        if unknown or len(action) > 1 or (not action and not delay):
            raise ValueError(f"a rule has one action of {sorted(ACTIONS)}, or a delay: {sorted(action)}")
        self.loop = loop
        self.verb, self.resource, self.user_agent = verb, resource, user_agent
        self.exact = {"group": group, "namespace": namespace, "name": name}
        self.skip, self.count = skip, count
        self.delay, self.events = delay, events
        self.reason, self.message, self.retry_after = reason, message, retry_after
        self.action, self.value = next(iter(action.items()), (None, None))
        if self.action in WATCH_ACTIONS and verb != "watch":
            raise ValueError(f"{self.action} is for verb=\"watch\"")
        self.seen = 0  # requests that it matches
        self.hits = 0  # of those, what it worked on
        self.remembered = {}
        self.held = 0
        self.released = None
        self.changed = threading.Condition()

    def matches(self, request):
        return (fnmatch.fnmatchcase(request.verb, self.verb) and fnmatch.fnmatchcase(request.resource, self.resource)
                and all(value is None or getattr(request, field) == value for field, value in self.exact.items())
                and (self.user_agent is None or self.user_agent in request.user_agent))

    def take(self, request):
        """Is it this rule that works on the request?"""
        if (self.count is not None and self.hits >= self.count) or not self.matches(request):
            return False
        self.seen += 1
        if self.seen <= self.skip:
            return False
        self.hits += 1
        return True

    # ---- hold ----

    async def wait_release(self):
        released = self.loop.create_future()
        with self.changed:
            self.held += 1
            self.released = self.released or []
            self.released.append(released)
            self.changed.notify_all()
        if await released == "cut":
            raise Cut()

    def wait_held(self, seconds=30):
        """Until a request is held."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.held > 0, seconds):
                raise AssertionError(f"not in {seconds} s: a {self.verb} of {self.resource} is held")

    def release(self, how="pass"):
        """What is held goes on; "cut": it never arrives, or its answer does not."""
        with self.changed:
            waiting, self.released, self.held = self.released or [], None, 0
        for future in waiting:
            self.loop.call_soon_threadsafe(lambda future=future: future.done() or future.set_result(how))


class Message:
    """The head of a request or an answer, and how its body comes."""

    def __init__(self, text):
        lines = text.decode("latin-1").split("\r\n")
        self.first = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, separator, value = line.partition(":")
            if separator:
                self.headers[name.strip().lower()] = value.strip()

    @staticmethod
    async def read(reader):
        return Message(await reader.readuntil(b"\r\n\r\n"))

    async def blocks(self, reader, has_body=True):
        """The body, piece by piece."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
                block = await reader.readexactly(size + 2)
                if size == 0:
                    return
                yield block[:-2]
        elif "content-length" in self.headers:
            left = int(self.headers["content-length"])
            while left:
                block = await reader.read(min(left, 1 << 16))
                if not block:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(block)
                yield block
        elif has_body:
            while block := await reader.read(1 << 16):
                yield block

    async def body(self, reader, has_body=True):
        return b"".join([block async for block in self.blocks(reader, has_body)])


def head(status, headers):
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'OK')}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def status_object(rule, code):
    details = {"retryAfterSeconds": rule.retry_after} if rule.retry_after is not None else {}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "details": details,
            "reason": rule.reason or REASONS.get(code, "Unknown"), "message": rule.message}


class FaultProxy:
    """Before one API server, with a certificate of the same authority; a thread of its own."""

    def __init__(self, server):
        self.server = server
        self.rules = []
        self.requests = []
        self.lock = threading.Lock()  # guards both, and the counters of rules
        self.port = 0
        self.listener = None
        self.connections = set()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    # ---- life ----

    def __enter__(self):
        certificate, key = self.server.authority.issue("fault-proxy", "/CN=fault-proxy", ["IP:127.0.0.1", "DNS:localhost"])
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.tls.set_alpn_protocols(["http/1.1"])
        self.upstream_tls = ssl.create_default_context(cafile=self.server.ca_file)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="fault-proxy", daemon=True)
        self.thread.start()
        self.up()
        return self

    def __exit__(self, *_):
        self.down()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def up(self):
        self.run(self.listen())

    def down(self):
        """Connections are refused, and those that are there end with a reset."""
        self.run(self.unlisten())

    async def listen(self):
        self.listener = await asyncio.start_server(self.serve, "127.0.0.1", self.port, ssl=self.tls, limit=HEAD_BYTES_MAX)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def unlisten(self):
        if self.listener:
            self.listener.close()
            self.listener = None
        tasks = list(self.connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- rules ----

    def add(self, **options):
        rule = Rule(self.loop, **options)
        with self.lock:
            self.rules.append(rule)
        return rule

    def remove(self, rule):
        with self.lock:
            self.rules.remove(rule)
        rule.release()

    def clear(self):
        with self.lock:
            rules, self.rules = self.rules, []
        for rule in rules:
            rule.release()

    def writes(self):
        with self.lock:
            return [request for request in self.requests if request.verb in WRITES]

    def take_rule(self, request):
        with self.lock:
            self.requests.append(request)
            request.rule = next((rule for rule in self.rules if rule.take(request)), None)
        return request.rule

    # ---- one connection ----

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            while True:
                await self.serve_request(reader, writer)
        except (Cut, asyncio.CancelledError):
            self.reset(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one of both sides has left
        finally:
            self.connections.discard(task)
            writer.transport.abort()

    @staticmethod
    def reset(writer):
        plain = writer.get_extra_info("socket")
        if plain is not None and plain.fileno() >= 0:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def serve_request(self, reader, writer):
        message = await Message.read(reader)
        method, target = message.first[:2]
        if message.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await message.body(reader, has_body=False)
        request = Request(method, target, message.headers)
        rule = self.take_rule(request)
        if rule and rule.delay:
            await asyncio.sleep(rule.delay)
        action = rule.action if rule else None
        if action == "status":
            extra = {"Retry-After": rule.retry_after} if rule.retry_after is not None else {}
            await self.answer(writer, request, rule.value, json.dumps(status_object(rule, rule.value)).encode(), extra)
            return
        if action == "drop":
            await self.until_left(reader)
        if action == "cut" and rule.value == "request":
            raise Cut()
        if action == "stale" and await self.answer_stale(writer, request, rule):
            return
        if action == "hold" and rule.value == "before":
            await rule.wait_release()
        await self.forward(reader, writer, request, message, body)

    async def until_left(self, reader):
        while not reader.at_eof():
            await asyncio.sleep(LEFT_SECONDS)
        raise Cut()

    async def answer(self, writer, request, status, body, headers):
        request.status = status
        writer.write(head(status, {"Content-Type": "application/json", **headers, "Content-Length": len(body)}) + body)
        await writer.drain()

    @staticmethod
    def stale_key(request):
        return request.path, request.query.get("labelSelector"), request.query.get("fieldSelector")

    async def answer_stale(self, writer, request, rule):
        remembered = rule.remembered.get(self.stale_key(request))
        if remembered is None:
            rule.hits -= 1  # this one only teaches it
            return False
        await self.answer(writer, request, 200, remembered, {})
        return True

    # ---- to the API server and back ----

    async def forward(self, reader, writer, request, message, body):
        address = urllib.parse.urlsplit(self.server.url)
        try:
            source, sink = await asyncio.open_connection(address.hostname, address.port, ssl=self.upstream_tls,
                                                         limit=HEAD_BYTES_MAX)
        except OSError:
            raise Cut() from None
        try:
            # Events are to be read here, and each request has its connection.
            dropped = ("accept-encoding", "connection", "transfer-encoding", "content-length", "expect")
            headers = {name: value for name, value in message.headers.items() if name not in dropped}
            headers["connection"] = "close"
            if body or message.first[0] != "GET":
                headers["content-length"] = len(body)
            lines = [" ".join(message.first), *(f"{name}: {value}" for name, value in headers.items())]
            sink.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
            await sink.drain()
            await self.relay(reader, writer, request, source)
        finally:
            sink.transport.abort()

    async def relay(self, reader, writer, request, source):
        answer = await Message.read(source)
        status, rule = int(answer.first[1]), request.rule
        dropped = ("connection", "transfer-encoding", "content-length")
        headers = {name: value for name, value in answer.headers.items() if name not in dropped}
        if request.verb == "watch" and status == 200:
            request.status = status
            writer.write(head(status, {**headers, "Transfer-Encoding": "chunked"}))
            await Watch(reader, writer, rule).relay(answer.blocks(source))
            return
        body = await answer.body(source, has_body=status not in (204, 304) and request.verb != "head")
        if rule and rule.action == "stale" and status == 200:
            rule.remembered[self.stale_key(request)] = body
        if rule and rule.action == "cut":
            if rule.value != "answer":
                writer.write(head(status, {**headers, "Content-Length": len(body)}) + body[:rule.value])
                await writer.drain()
            raise Cut()
        if rule and rule.action == "hold" and rule.value == "after":
            await rule.wait_release()
        await self.answer(writer, request, status, body, headers)


class Watch:
    """The events of one watch on their way to the client."""

    def __init__(self, reader, writer, rule):
        self.reader, self.writer = reader, writer
        self.action = rule.action if rule else None
        self.rule = rule
        self.passed = 0
        self.bytes = 0
        self.waiting = None  # reorder: the event that lets the next one go first

    async def relay(self, blocks):
        blocks = blocks.__aiter__()
        partial = b""
        coming = asyncio.ensure_future(blocks.__anext__())
        try:
            if self.action == "hold" and self.rule.value == "after":
                await self.rule.wait_release()
            if self.action == "cut" and self.rule.value == "answer":
                raise Cut()
            since = time.monotonic()
            while not self.is_at_end():
                await asyncio.wait({coming}, timeout=LEFT_SECONDS)
                if self.reader.at_eof():
                    raise Cut()
                if coming.done():
                    partial += coming.result()
                    coming = asyncio.ensure_future(blocks.__anext__())
                    *lines, partial = partial.split(b"\n")
                    for line in lines:
                        await self.event(line + b"\n")
                    since = time.monotonic()
                elif time.monotonic() - since > REORDER_SECONDS:
                    await self.flush()
        except StopAsyncIteration:
            pass
        finally:
            coming.cancel()
        await self.flush()
        if self.action == "error_event":
            error = {"type": "ERROR", "object": status_object(self.rule, self.rule.value)}
            await self.send(json.dumps(error).encode() + b"\n")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def is_at_end(self):
        return self.action in ("end", "error_event") and self.passed >= self.rule.events

    async def event(self, line):
        if self.is_at_end():
            return
        faulty = self.action in WATCH_ACTIONS and self.passed >= self.rule.events
        self.passed += 1
        if not faulty:
            await self.send(line)
        elif self.action == "duplicate":
            await self.send(line)
            await self.send(line)
        elif self.action == "reorder":
            if self.waiting is None:
                self.waiting = line
            else:
                await self.send(line)
                await self.flush()

    async def flush(self):
        line, self.waiting = self.waiting, None
        if line is not None:
            await self.send(line)

    async def send(self, line):
        if self.action == "cut" and self.bytes + len(line) > self.rule.value:
            line = line[:self.rule.value - self.bytes]
            self.writer.write(b"%x\r\n%b" % (len(line) + 1, line))
            await self.writer.drain()
            raise Cut()
        self.bytes += len(line)
        self.writer.write(b"%x\r\n%b\r\n" % (len(line), line))
        await self.writer.drain()
