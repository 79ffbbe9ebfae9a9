#!/usr/bin/env python3
"""Faults between nodes, with asks going on meanwhile: what is lost, what is not, and that no ask hangs."""

import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from histrio_run import SLOW, HistrioTest, marked, wait_until  # noqa: E402

OK, UNAVAILABLE, UNCERTAIN, TIMEOUT = 0, 4, 5, 6  # exit codes of `histrio ask`
LEASE_S = 3
UNDISTURBED_MS = 10000  # for asks that a fault must not touch at all: a loaded machine takes its time for them
PROCESS_SECONDS = 5  # for an ask to begin and end as a process on a loaded machine; one that hangs takes for ever


def epoch(text):
    term, counter = text.split(".")
    return int(term), int(counter)


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


class Asker(threading.Thread):
    """One process after the other asks the same actor."""

    def __init__(self, test, actor, method, *arguments, timeout_ms=1000):
        super().__init__()
        self.test, self.timeout_ms = test, timeout_ms
        self.words = (actor, method, *arguments)
        self.is_stopped = threading.Event()
        self.codes, self.slowest = [], 0

    def run(self):
        while not self.is_stopped.is_set():
            started = time.monotonic()
            result = self.test.histrio("ask", *self.words, "--timeout", f"{self.timeout_ms}ms")
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.codes.append(result.code)

    def stop(self):
        self.is_stopped.set()
        self.join()


class Faults(HistrioTest):
    def start_askers(self, *askers):
        for asker in askers:
            self.addCleanup(asker.stop)
            asker.start()
        self.wait_asks(*askers)

    def wait_asks(self, *askers):
        """Each asks on."""
        counts = [len(asker.codes) for asker in askers]
        wait_until("asks go on", lambda: all(len(asker.codes) > count + 2 for asker, count in zip(askers, counts)), 20)

    def stop_askers(self, *askers):
        """All asks ended, with what may come of a fault, inside of their deadlines and a margin for their processes."""
        for asker in askers:
            asker.stop()
        for asker in askers:
            self.assertLessEqual(set(asker.codes), {OK, UNAVAILABLE, UNCERTAIN, TIMEOUT}, asker.words)
            self.assertLess(asker.slowest, asker.timeout_ms / 1000 + PROCESS_SECONDS * SLOW, asker.words)

    def node(self, name):
        return self.row("nodes", "node", name)

    def units(self):
        return {unit["unit"]: unit for unit in self.rows("units")}

    def wait_settled(self):
        def is_settled():
            status = self.status()
            return (status["units"]["running"] == status["units"]["desired"] and status["nodes"]["ready"] == 3
                    and all(node["state"] == "Connected" for node in status["nodeStatuses"])
                    and all(actor["incarnation"] > 0 for actor in status["actorStatuses"]))
        wait_until("all is as it shall be", is_settled, 20)

    def check_moved(self, before, after, victims):
        """Units of victim nodes have higher epochs, all others are as they were."""
        for name, unit in after.items():
            self.assertEqual(unit["state"], "Running", unit)
            if before[name]["node"] in victims:
                self.assertGreater(epoch(unit["epoch"]), epoch(before[name]["epoch"]), name)
            else:
                self.assertEqual((unit["epoch"], unit["node"]), (before[name]["epoch"], before[name]["node"]), name)

    def check_all_answer(self):
        self.assertIn("balance", self.ask("bank/ledger", "balance"))
        for number in range(4):
            self.assertGreaterEqual(self.ask(f"bank/tellers.{number}/counter", "total"), 0)

    def test_killed_runtime_under_load(self):
        """Deposits go on while the ledger's node dies: none counts twice, and those who live on notice nothing."""
        self.bank()
        before = self.units()
        victim = before["ledger"]["node"]
        safe = [name for name, unit in before.items() if unit["entry"] == "tellers" and unit["node"] != victim]
        askers = [Asker(self, f"bank/{name}/counter", "deposit", '{"amount": 1}', timeout_ms=UNDISTURBED_MS) for name in safe]
        lost = Asker(self, "bank/ledger", "balance")
        self.assertTrue(safe)
        self.start_askers(lost, *askers)
        os.kill(self.node(victim)["pid"], signal.SIGKILL)
        wait_until("the ledger is elsewhere", lambda: epoch(self.unit("ledger")["epoch"]) > epoch(before["ledger"]["epoch"]))
        self.wait_settled()
        self.wait_asks(lost, *askers)
        self.stop_askers(lost, *askers)
        self.check_moved(before, self.units(), {victim})
        self.assertEqual(lost.codes[-1], OK)
        for name, asker in zip(safe, askers):
            self.assertEqual(set(asker.codes), {OK}, name)
            self.assertEqual(self.ask(f"bank/{name}/counter", "total"), len(asker.codes), name)
            self.assertEqual(self.actor(f"{name}/counter")["incarnation"], 1)
        # What the tellers tell the ledger finds its new place.
        entries = self.ask("bank/ledger", "balance")["entries"]
        for name in safe:
            self.ask(f"bank/{name}/counter", "deposit", '{"amount": 1}')
        wait_until("the ledger has them",
                   lambda: self.ask("bank/ledger", "balance")["entries"] == entries + len(safe))

    def test_nodes_die_one_after_the_other(self):
        self.bank()
        asker = Asker(self, "bank/tellers.0/counter", "total")
        self.start_askers(asker)
        for row in self.rows("nodes"):
            before = self.units()
            os.kill(self.node(row["node"])["pid"], signal.SIGKILL)
            wait_until("a new runtime", lambda: self.node(row["node"])["uid"] not in ("", row["uid"]))
            self.wait_settled()
            self.check_moved(before, self.units(), {row["node"]})
        self.wait_asks(asker)
        self.stop_askers(asker)
        self.assertEqual(asker.codes[-1], OK)
        self.assertEqual(self.status()["quarantined"], [])

    def test_all_runtimes_killed_at_once(self):
        self.bank()
        before = self.units()
        nodes = self.rows("nodes")
        for node in nodes:
            os.kill(node["pid"], signal.SIGKILL)
        wait_until("new runtimes", lambda: not {node["uid"] for node in nodes} & {row["uid"] for row in self.rows("nodes")})
        self.wait_settled()
        self.check_moved(before, self.units(), {node["node"] for node in nodes})
        self.check_all_answer()
        self.assertEqual(self.status()["quarantined"], [])

    def test_runtime_and_parent_killed_at_once(self):
        self.bank()
        before = self.units()
        victim = before["ledger"]["node"]
        runtime = self.node(victim)["pid"]
        parent = parent_of(runtime)
        os.kill(parent, signal.SIGKILL)
        try:
            os.kill(runtime, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had its own signal already
        wait_until("another node", lambda: victim not in [row["node"] for row in self.rows("nodes")])
        self.wait_settled()
        self.check_moved(before, self.units(), {victim})
        self.assertNotIn(runtime, marked(self.folder))
        self.check_all_answer()

    def test_stopped_runtime(self):
        """For longer than a lease. It may come back, so nothing is placed anew; it does, and goes on."""
        self.bank()
        before = self.units()
        victim = before["ledger"]["node"]
        node = self.node(victim)
        safe = next(name for name, unit in before.items() if unit["entry"] == "tellers" and unit["node"] != victim)
        self.ask(f"bank/{safe}/counter", "deposit", '{"amount": 1}')
        wait_until("the ledger has it", lambda: self.ask("bank/ledger", "balance")["entries"] == 1)
        lost = [Asker(self, "bank/ledger", "balance", timeout_ms=300) for _ in range(3)]
        other = Asker(self, f"bank/{safe}/counter", "total", timeout_ms=UNDISTURBED_MS)
        self.start_askers(other)
        os.kill(node["pid"], signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            self.start_askers(*lost)
            while time.monotonic() < stopped + LEASE_S + 1:
                self.wait_asks(other, *lost)
            self.stop_askers(*lost)
            for asker in lost:
                self.assertNotIn(OK, asker.codes)
                self.assertIn(TIMEOUT, asker.codes)
            self.check_moved(before, {unit["unit"]: dict(unit, state="Running") for unit in self.rows("units")}, set())
        finally:
            os.kill(node["pid"], signal.SIGCONT)
        self.wait_settled()
        self.stop_askers(other)
        self.assertEqual(set(other.codes), {OK})
        self.check_moved(before, self.units(), set())
        self.assertEqual(self.node(victim)["uid"], node["uid"])
        self.assertEqual({actor["incarnation"] for actor in self.rows("actors")}, {1})
        self.assertEqual(self.ask("bank/ledger", "balance")["balance"], 1)

    def test_stopped_run(self):
        """Without a leader for longer than a lease, nodes lose it, and go on when the leader is back."""
        run = self.bank()
        before = self.units()
        uids = {node["node"]: node["uid"] for node in self.rows("nodes")}
        self.assertEqual(self.ask("bank/tellers.0/counter", "deposit", '{"amount": 4}'), 4)
        run.signal(signal.SIGSTOP)
        try:
            time.sleep(LEASE_S + 1)  # the fault itself; nodes cannot be seen meanwhile: the run writes their logs
        finally:
            run.signal(signal.SIGCONT)
        wait_until("no node had a lease", lambda: all(self.has_lost_lease(name) for name in uids))
        wait_until("the actors go on", lambda: self.histrio("ask", "bank/tellers.0/counter", "total", "--timeout",
                                                            "500ms").code == OK)
        self.wait_settled()
        self.assertEqual(self.ask("bank/tellers.0/counter", "total"), 4)
        self.check_moved(before, self.units(), set())
        self.assertEqual({node["node"]: node["uid"] for node in self.rows("nodes")}, uids)
        self.assertEqual({actor["incarnation"] for actor in self.rows("actors")}, {1})

    def has_lost_lease(self, node):
        with open(os.path.join(self.environment["HISTRIO_RUN_DIR"], "bank/logs", node + ".log")) as log:
            return '"lease lost"' in log.read()

    def test_killed_run(self):
        """Nodes end by themselves soon, and the next run gets a higher term and new names."""
        run = self.bank()
        before, term = self.units(), self.status()["term"]
        names = {node["node"] for node in self.rows("nodes")}
        asker = Asker(self, "bank/ledger", "balance")
        self.start_askers(asker)
        run.process.kill()
        run.process.wait()
        asker.stop()
        wait_until("no process is left", lambda: not marked(self.folder))
        self.bank()
        self.assertGreater(self.status()["term"], term)
        self.assertFalse(names & {node["node"] for node in self.rows("nodes")})
        for name, unit in self.units().items():
            self.assertGreater(epoch(unit["epoch"]), epoch(before[name]["epoch"]))
        self.check_all_answer()


if __name__ == "__main__":
    unittest.main(verbosity=2)
