#!/usr/bin/env python3
"""lib/kube's informers, lease and recorder against a real API server: faults between them, restarts, two candidates."""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from histrio_run import wait_until  # noqa: E402

PROGRAM = os.path.join(os.environ.get("HISTRIO_TEST_BUILD", os.path.join(ROOT, "build/dev")), "bin/kube_watch")
MAPS = "/api/v1/namespaces/default/configmaps"
WATCHED = f"{MAPS}?labelSelector=watched"


class Program:
    """kube_watch with its lines."""

    def __init__(self, kubeconfig, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], env=dict(os.environ, KUBECONFIG=kubeconfig), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        self.seen = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def count(self, start):
        """Lines so far that start so."""
        while not self.lines.empty():
            line = self.lines.get()
            if line is None:
                raise AssertionError(f"the program ended; came: {self.seen[-20:]}")
            self.seen.append(line)
        return sum(line.startswith(start) for line in self.seen)

    def expect(self, start, seconds=30):
        """The next line that starts so; those before are in `seen`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not in {seconds} s: \"{start}\"; came: {self.seen[-20:]}") from None
            if line is None:
                raise AssertionError(f"the program ended before \"{start}\"; came: {self.seen[-20:]}")
            self.seen.append(line)
            if line.startswith(start):
                return line

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def state(self):
        """Version and objects of the store."""
        self.ask("state")
        _, version, *objects = self.expect("state ").split(" ")
        return int(version), dict(item.split("=") for item in objects)

    def stats(self):
        self.ask("stats")
        return json.loads(self.expect("{"))

    def end(self):
        self.process.stdin.close()
        self.expect("ended")
        return self.process.wait(10)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stdin.close()


class Base(unittest.TestCase):
    def program(self, kubeconfig, *arguments):
        program = Program(kubeconfig, *arguments)
        self.addCleanup(program.stop)
        return program

    def make(self, client, name, value="1"):
        return client.create(MAPS, {"metadata": {"name": name, "labels": {"watched": ""}}, "data": {"value": value}})

    def wait_equal(self, server, program, seconds=60):
        """The store is what the server has."""
        deadline = time.monotonic() + seconds
        while True:
            wanted = {item["metadata"]["name"]: item["metadata"]["resourceVersion"]
                      for item in server.client().items(WATCHED)}
            version, objects = program.state()
            if objects == wanted:
                return version
            self.assertLess(time.monotonic(), deadline, f"{objects} is not {wanted}; came: {program.seen[-20:]}")
            time.sleep(0.1)


class Follow(Base):
    def check_plain(self, server, *arguments):
        client = server.client()
        self.make(client, "a")
        client.create(MAPS, {"metadata": {"name": "other"}})
        program = self.program(server.kubeconfig(), "follow", *arguments)
        program.expect("synced")
        self.assertEqual(program.seen, ["initial new a=1", "synced"])
        made = self.make(client, "b", "2")
        program.expect("new b=2")
        client.merge(f"{MAPS}/a", {"data": {"value": "3"}})
        program.expect("changed a=3")
        client.merge(f"{MAPS}/a", {"metadata": {"labels": {"watched": None}}})
        program.expect("gone a=3")
        client.delete(f"{MAPS}/b")
        program.expect("gone b=2")
        version, objects = program.state()
        self.assertEqual(objects, {})
        self.assertGreater(version, int(made["metadata"]["resourceVersion"]))
        stats = program.stats()
        self.assertEqual(program.end(), 0)
        return stats

    def test_plain(self):
        with ApiServer() as server:
            stats = self.check_plain(server)
            self.assertEqual((stats["lists"], stats["watches"], stats["failures"]), (0, 1, 0))
            for name in server.client().items(MAPS):
                server.client().delete(f"{MAPS}/{name['metadata']['name']}")
            stats = self.check_plain(server, "lists")
            self.assertEqual((stats["lists"], stats["watches"], stats["failures"]), (1, 1, 0))

    def test_without_streams(self):
        with ApiServer(arguments=["--feature-gates=WatchList=false"]) as server:
            stats = self.check_plain(server)
            self.assertEqual((stats["lists"], stats["watches"], stats["failures"]), (1, 2, 1))

    def test_restart(self):
        """A server that starts anew knows no history: 410, and what went meanwhile is told."""
        with ApiServer() as server, FaultProxy(server) as proxy:
            self.make(server.client(), "a")
            self.make(server.client(), "b")
            program = self.program(server.kubeconfig(url=proxy.url), "follow")
            program.expect("synced")
            proxy.down()
            server.client().delete(f"{MAPS}/a")
            self.make(server.client(), "c")
            program.expect("problem ")
            server.stop_server()
            server.start_server()
            proxy.up()
            program.expect("gone a=1", seconds=90)  # the longer the server takes to start, the longer it waits to try again
            self.wait_equal(server, program)
            self.assertEqual(program.end(), 0)

    def test_require(self):
        """A version that another leader saw, of an object that this informer does not watch."""
        with ApiServer() as server:
            program = self.program(server.kubeconfig(), "follow")
            program.expect("synced")
            made = server.client().create(MAPS, {"metadata": {"name": "other"}})
            version = int(made["metadata"]["resourceVersion"])
            program.ask(f"require {version}")
            deadline = time.monotonic() + 20
            while program.state()[0] < version:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            self.assertEqual(program.end(), 0)

    def test_faults(self):
        """Random faults while objects come and go; in the end the store is what the server has, and so is what the changes
        told."""
        seed = int(os.environ.get("HISTRIO_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
        print(f"HISTRIO_TEST_SEED={seed}", file=sys.stderr)
        chance = random.Random(seed)
        with ApiServer() as server, FaultProxy(server) as proxy:
            mode = chance.choice([["follow"], ["follow", "lists"]])
            program = self.program(server.kubeconfig(url=proxy.url), *mode)
            program.expect("synced")
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                self.disturb(proxy, chance)
                for _ in range(chance.randrange(1, 12)):
                    self.write(server.client(), chance)
                    time.sleep(chance.random() * 0.05)
            proxy.clear()
            self.wait_equal(server, program, seconds=90)
            stats = program.stats()
            print(mode, stats, file=sys.stderr)
            self.assertGreater(stats["failures"], 2)
            self.check_told(program)
            self.assertEqual(program.end(), 0)

    @staticmethod
    def disturb(proxy, chance):
        events = chance.randrange(0, 6)
        proxy.clear()
        rule = chance.choice([
            {"verb": "watch", "events": events, "end": True}, {"verb": "watch", "events": events, "error_event": 410},
            {"verb": "watch", "events": events, "error_event": 500}, {"verb": "watch", "duplicate": True},
            {"verb": "watch", "reorder": True}, {"verb": "watch", "status": 429, "retry_after": 1},
            {"verb": "watch", "status": 503}, {"verb": "watch", "cut": chance.randrange(1, 3000)}, {"verb": "watch", "cut": "request"},
            {"verb": "list", "status": 500}, {"verb": "list", "cut": chance.randrange(1, 3000)}, None])
        if rule:
            proxy.add(resource="configmaps", count=chance.randrange(1, 4), **rule)
        if chance.random() < 0.4:
            proxy.down()  # open connections break, so that the rule meets the next ones
            proxy.up()

    @staticmethod
    def write(client, chance):
        name = f"m{chance.randrange(10)}"
        body = {"metadata": {"name": name, "labels": {"watched": ""}}, "data": {"value": str(chance.randrange(1000))}}
        if not client.find(f"{MAPS}/{name}"):
            client.create(MAPS, body)
        elif chance.random() < 0.3:
            client.delete(f"{MAPS}/{name}")
        else:
            client.merge(f"{MAPS}/{name}", {"data": body["data"]})

    def check_told(self, program):
        known = set()
        for line in program.seen:
            what, _, rest = line.removeprefix("initial ").partition(" ")
            name = rest.partition("=")[0]
            if what == "new":
                self.assertNotIn(name, known, line)
                known.add(name)
            elif what == "changed":
                self.assertIn(name, known, line)
            elif what == "gone":
                known.remove(name)
        self.assertEqual(known, set(program.state()[1]))

    @unittest.skipUnless(os.environ.get("HISTRIO_TEST_LONG"), "HISTRIO_TEST_LONG is not set: takes 100 s")
    def test_silence(self):
        """A connection that is there and says nothing more is given up."""
        with ApiServer() as server, FaultProxy(server) as proxy:
            proxy.add(verb="watch", resource="configmaps", events=1, silent=True, count=1)
            program = self.program(server.kubeconfig(url=proxy.url), "follow")
            program.expect("synced")
            self.make(server.client(), "a")
            program.expect("new a=1", seconds=120)
            self.assertEqual(program.stats()["silences"], 1)


class Lead(Base):
    def setUp(self):
        self.server = ApiServer().start()
        self.addCleanup(self.server.stop)

    def lead(self, identity):
        return self.program(self.server.kubeconfig(), "lead", identity)

    @staticmethod
    def started(program, seconds=30):
        return int(program.expect("started ", seconds).split(" ")[1])

    def check_apart(self, *programs):
        """No two ever found at one moment that they lead."""
        spans = []
        for program in programs:
            program.process.send_signal(signal.SIGTERM)
            program.expect("ended")
            spans += [tuple(map(int, line.split(" ")[1:])) for line in program.seen if line.startswith("led ")]
        spans.sort()
        print(spans, file=sys.stderr)
        for (_, former_until), (later_from, _) in zip(spans, spans[1:]):
            self.assertLess(former_until, later_from)
        return spans

    def test_two(self):
        begun = time.monotonic()
        first = self.lead("first")
        self.started(first)
        self.assertGreater(time.monotonic() - begun, 6)  # it made the Lease: nobody leads before that is over
        second = self.lead("second")
        with self.assertRaises(AssertionError):
            second.expect("started", seconds=8)

        # Given up: the other one need not wait.
        first.process.send_signal(signal.SIGTERM)
        first.expect("ended")
        begun = time.monotonic()
        self.started(second)
        self.assertLess(time.monotonic() - begun, 1.5)

        # The same pod's next container has it back at once, and knows the version that was seen before. Anybody else has to wait for
        # 5 s, the duration without the second in which it was renewed.
        second.process.kill()
        begun = time.monotonic()
        again = self.lead("second")
        line = again.expect("started ")
        self.assertLess(time.monotonic() - begun, 4)
        self.assertGreater(int(line.split(" ")[2]), 0)

        # Killed: somebody else after the duration.
        third = self.lead("third")
        time.sleep(1.5)
        again.process.kill()
        begun = time.monotonic()
        self.started(third)
        self.assertLess(time.monotonic() - begun, 7.5)
        self.check_apart(third)

    def test_paused(self):
        """A leader that is stopped for a while finds that it leads no longer, before anybody else does."""
        first = self.lead("first")
        self.started(first)
        second = self.lead("second")
        time.sleep(2)
        first.process.send_signal(signal.SIGSTOP)
        self.started(second)
        first.process.send_signal(signal.SIGCONT)
        first.expect("stopped ")
        time.sleep(2)
        self.assertEqual(len(self.check_apart(first, second)), 2)

    def test_away(self):
        """The API server is away for a while: both stay, and one of them goes on to lead."""
        first = self.lead("first")
        self.started(first)
        second = self.lead("second")
        time.sleep(1)
        self.server.stop_server()
        first.expect("stopped ", seconds=6)
        time.sleep(5)
        self.server.start_server()
        # Whose Lease it was may have it at once, and by now the other one may too.
        wait_until("one of them leads", lambda: first.count("started ") == 2 or second.count("started ") == 1, 30)
        self.check_apart(first, second)


class Events(Base):
    def test_flapping(self):
        with ApiServer() as server:
            program = self.program(server.kubeconfig(), "events", "60")
            counts = json.loads(program.expect("{"))
            self.assertEqual(program.end(), 0)
            self.assertEqual(counts, {"written": 25, "suppressed": 35, "failed": 0, "dropped": 0})
            events = server.client().items("/apis/events.k8s.io/v1/namespaces/default/events")
            self.assertEqual(len(events), 1)
            event = events[0]
            self.assertEqual((event["reason"], event["type"], event["note"]), ("Flapping", "Warning", "it went and came"))
            self.assertEqual(event["series"]["count"], 25)
            self.assertEqual(event["regarding"]["name"], "flaps")
            self.assertIn("it went and came", server.kubectl("get", "events"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
