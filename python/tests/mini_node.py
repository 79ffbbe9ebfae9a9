#!/usr/bin/env python3
"""The least of a node that a program with histrio.local() needs: routes frames between it and the workers of one zygote.

It restarts an actor that failed or crashed, once per end, and answers what it had begun with Crashed. The real node's rules
(supervision, deadlines, mailboxes, other nodes) are the real node's tests.
"""

import itertools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile

from histrio import _codec as codec
from histrio import _frames as frames
from histrio._frames import Closed, Port

CRASHED, NOT_FOUND = 7, 1


class Actor:
    def __init__(self, path, entry, worker):
        self.path, self.entry, self.worker = path, entry, worker
        self.slot = self.id = next(ids)
        self.incarnation = 1
        self.alive = True


class Process:
    def __init__(self, number, sock):
        self.number, self.port = number, Port(sock)
        self.deliveries = {}


ids = itertools.count(2)
numbers = itertools.count(1)


class Node:
    def __init__(self, script_fd):
        self.script = Process(0, socket.socket(fileno=script_fd))
        self.workers, self.actors, self.by_slot, self.by_id = [], {}, {}, {}
        self.monitors = {}
        self.next_worker = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.zygote = ours
        self.zygote_process = subprocess.Popen(
            [os.environ["HISTRIO_PYTHON"], "-m", "histrio._zygote"], pass_fds=[theirs.fileno()],
            env={**os.environ, "HISTRIO_ZYGOTE_FD": str(theirs.fileno()),
                 "PYTHONPATH": os.pathsep.join(json.loads(os.environ["HISTRIO_PYTHON_PATH"]))})
        theirs.close()
        self.tell_zygote({"kind": "setup", "path": json.loads(os.environ["HISTRIO_PYTHON_PATH"]),
                          "preload": json.loads(os.environ["HISTRIO_PYTHON_PRELOAD"]), "script": os.environ.get("HISTRIO_PYTHON_SCRIPT")})
        while self.hear_zygote()["kind"] != "ready":
            pass
        for _ in range(int(os.environ["HISTRIO_PYTHON_WORKERS"])):
            self.start_worker()

    def tell_zygote(self, message, fds=()):
        socket.send_fds(self.zygote, [codec.pack(message, "")], fds)

    def hear_zygote(self):
        return codec.unpack(self.zygote.recv(1 << 20))

    def start_worker(self):
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as page, tempfile.TemporaryFile() as trace:
            page.truncate(4096)
            worker = Process(len(self.workers) + 1, ours)
            self.tell_zygote({"kind": "fork", "worker": worker.number}, [theirs.fileno(), page.fileno(), trace.fileno(), 2])
        theirs.close()
        while self.hear_zygote()["kind"] != "forked":
            pass
        self.workers.append(worker)
        return worker

    def run(self):
        while True:
            everyone = [self.script, *self.workers]
            ready, _, _ = select.select([one.port for one in everyone], [], [])
            for process in everyone:
                if process.port in ready:
                    try:
                        for frame in process.port.read(0):
                            self.handle(process, frame)
                    except Closed:
                        if process is self.script:
                            return
                        self.lost(process)
            for process in [self.script, *self.workers]:
                try:
                    process.port.flush()
                except Closed:
                    pass

    def handle(self, process, frame):
        kind = frame.kind
        if kind == frames.HELLO:
            told = {"protocol": 1, "system": "local", "node": "node-0", "worker": process.number, "value_bytes_max": 1 << 22, "node_uid": 7}
            process.port.send(frames.WELCOME, payload=codec.pack(told, ""))
        elif kind in (frames.ASK, frames.TELL):
            self.send(process, frame)
        elif kind == frames.SPAWN:
            self.spawn(process, frame)
        elif kind in (frames.REPLY, frames.ERROR, frames.DONE, frames.FAILED):
            self.ended(process, frame)
        elif kind == frames.EXIT:
            actor = self.find(frame)
            if actor:
                self.end(actor, frame.payload.decode(), restart=False)
        elif kind == frames.MONITOR:
            actor = self.find(frame)
            if actor:
                self.monitors.setdefault(actor.path, []).append((process, frame.actor, frame.number))
            else:
                process.port.send(frames.DOWN, 0, frame.actor, "", next(numbers), id=frame.number, payload=b"noproc")
        elif kind == frames.CANCEL:
            for worker in self.workers:
                for number, told in worker.deliveries.items():
                    if told[1:3] == (process, frame.number):
                        worker.port.send(frames.CANCEL, number=number)

    def find(self, frame):
        actor = self.actors.get(frame.name) if frame.name else self.by_id.get(frame.id)
        return actor if actor and actor.alive else None

    def send(self, process, frame):
        actor = self.find(frame)
        if actor is None:
            if frame.kind == frames.ASK:
                process.port.send(frames.ERROR, NOT_FOUND, frame.actor, "", frame.number, payload=b"no such actor")
            return
        number = next(numbers)
        actor.worker.deliveries[number] = (actor, process, frame.number if frame.kind == frames.ASK else 0, frame.actor)
        actor.worker.port.send(frame.kind, 0, actor.slot, frame.method, number, frame.timeout_ms, node=7, id=frame.actor, payload=frame.payload)

    def spawn(self, process, frame):
        told = codec.unpack(frame.payload)
        below = self.by_slot[frame.actor].path if process is not self.script else "local"
        path = f"{below}/{told.get('name') or 'a' + str(next(ids))}"
        entries = [(path, told["root"])] + [(f"{path}/{child['name']}", child) for child in told["children"]]
        for name, entry in entries:
            if "behavior" not in entry:
                continue
            if entry["isolation"] == "Process":
                worker = self.start_worker()
            else:
                worker = self.workers[self.next_worker % int(os.environ["HISTRIO_PYTHON_WORKERS"])]
                self.next_worker += 1
            actor = self.actors[name] = Actor(name, entry, worker)
            asked = (process, frame.number, frame.actor) if name == entries[-1][0] else (None, 0, 0)
            self.start(actor, (path, actor.id), *asked)

    def start(self, actor, answer=None, process=None, request=0, slot=0):
        self.by_slot[actor.slot] = self.by_id[actor.id] = actor
        number = next(numbers)
        actor.worker.deliveries[number] = (actor, process, request, slot, answer)
        payload = codec.pack({"behavior": actor.entry["behavior"]["python"], "arguments": actor.entry["arguments"], "path": actor.path,
                              "unit": "local", "epoch": "1.1", "incarnation": actor.incarnation}, "")
        actor.worker.port.send(frames.START, 0, actor.slot, "", number, node=7, id=actor.id, payload=payload)

    def ended(self, process, frame):
        told = process.deliveries.pop(frame.number, None)
        if frame.kind == frames.FAILED:
            actor = self.by_slot[frame.actor]
            if told and len(told) == 5:
                if told[1]:
                    told[1].port.send(frames.ERROR, 9, told[3], "", told[2], payload=frame.payload)
                self.end(actor, frame.payload.decode(), restart=False)
                return
            if told and told[2]:
                told[1].port.send(frames.ERROR, CRASHED, told[3], "", told[2], payload=frame.payload)
            self.end(actor, frame.payload.decode(), restart=frame.code == 0)
        elif told and told[1]:
            actor, asker, request, slot = told[:4]
            if len(told) == 5:
                path, id = told[4]
                asker.port.send(frames.REPLY, 0, slot, "", request, payload=codec.pack({"path": path, "ref": [7, id]}, ""))
            elif request and frame.kind != frames.DONE:
                asker.port.send(frame.kind, frame.code, slot, "", request, payload=frame.payload)

    def end(self, actor, reason, restart):
        if not restart:
            actor.worker.port.send(frames.DROP, 0, actor.slot)
        actor.alive = False
        for process, slot, number in self.monitors.pop(actor.path, []):
            process.port.send(frames.DOWN, 0, slot, "", next(numbers), id=number, payload=reason.encode())
        if restart:
            actor.alive, actor.incarnation = True, actor.incarnation + 1
            actor.slot = actor.id = next(ids)
            self.start(actor)

    def lost(self, worker):
        self.workers[self.workers.index(worker)] = fresh = self.start_worker()
        self.workers.pop()
        for told in worker.deliveries.values():
            if told[2]:
                told[1].port.send(frames.ERROR, CRASHED, told[3], "", told[2], payload=b"SIGSEGV actors.py:1 in crash\nthe stack")
        for actor in list(self.actors.values()):
            if actor.worker is worker:
                actor.worker = fresh
                self.end(actor, "SIGSEGV actors.py:1 in crash\nthe stack", restart=True)


if __name__ == "__main__":
    assert sys.argv[1] == "--script"
    node = Node(int(sys.argv[2]))
    node.run()
    node.zygote.close()
    node.zygote_process.wait()
