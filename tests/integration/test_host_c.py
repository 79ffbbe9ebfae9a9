#!/usr/bin/env python3
"""Behaviors in C with an isolation: what goes wrong in one costs its worker process, not the node."""

import os
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from histrio_run import BUILD, SLOW, HistrioTest, wait_until  # noqa: E402

SANITIZED = SLOW > 1

MANIFEST = """apiVersion: histrio.dev/v1alpha1
kind: ActorSystem
metadata: {{name: bank}}
spec:
  nodes: {{replicas: 1}}
  code:
    c: [{{library: host_c_behaviors, path: libhost_c_behaviors.so}}]
    {python}
  actors:
    - name: risky
      behavior: {{c: host_c_behaviors.risky}}
      isolation: Process
    - name: calm
      behavior: {{c: host_c_behaviors.risky}}
    - name: group
      supervisor: {{strategy: OneForOne, intensity: {{restarts: 5, period: 5s}}}}
      children:
        - {{name: a, behavior: {{c: host_c_behaviors.risky}}, isolation: Group}}
        - {{name: b, behavior: {{c: host_c_behaviors.risky}}, isolation: Group}}
        - {{name: c, behavior: {{c: host_c_behaviors.risky}}, isolation: Shared}}
    {more}
"""


class HostC(HistrioTest):
    def start(self, python="", more="", ready=True):
        self.environment["HISTRIO_LIBRARY_PATH"] = os.path.join(BUILD, "tests/code")
        self.bank(manifest=self.write("c.yaml", MANIFEST.format(python=python, more=more)), ready=ready)

    def node(self):
        row, = self.rows("nodes")
        return row["uid"], row["pid"]

    def pid(self, actor="risky"):
        return self.ask(f"bank/{actor}", "pid", timeout="20s")

    def last_exit(self, actor):
        return next((row for row in reversed(self.rows("exits")) if row["actor"] == actor), None)

    def wait_exit(self, actor, reason):
        def found():
            row = self.last_exit(actor)
            return row and reason in row["reason"]
        try:
            wait_until(f"{actor} ended with {reason}", found, 20)
        except AssertionError:
            self.fail(f"{self.last_exit(actor)} has no reason {reason}")

    def wait_back(self, before):
        wait_until("it is back in another process", lambda: self.pid() != before, 20)

    def test_segfault_costs_one_process(self):
        self.start()
        node, before, calm = self.node(), self.pid(), self.pid("group/a")
        self.assertNotEqual(before, node[1])
        self.assertEqual(self.pid("calm"), node[1])
        self.assertEqual(self.ask("bank/risky", "add", '{"amount": 5}'), 5)
        outcomes = []

        def ask(method, *arguments):
            result = self.histrio("ask", "bank/risky", method, *arguments, "--timeout", "20s")
            outcomes.append((method, result.code, result.out.strip(), result.err))
        self.ok("tell", "bank/risky", "nap")  # the next ones wait behind it
        askers = [threading.Thread(target=ask, args=("smash",))] + [threading.Thread(target=ask, args=("add",)) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        crashed = [outcome for outcome in outcomes if outcome[1] != 0]
        self.assertEqual([outcome[0] for outcome in crashed], ["smash"], outcomes)  # who comes first varies: nobody else's ask is lost
        self.assertIn("maybe executed", crashed[0][3])
        self.wait_exit("risky", "SIGSEGV libhost_c_behaviors.so in scribble" if not SANITIZED else "libhost_c_behaviors.so")
        self.assertEqual(self.node(), node)
        self.assertEqual(self.pid("group/a"), calm)
        self.assertNotEqual(self.pid(), before)
        wait_until("its second incarnation is told", lambda: self.actor("risky")["incarnation"] == 2)
        self.assertEqual(self.actor("calm")["incarnation"], 1)
        self.ok("stop", "bank")

    def test_isolation_says_which_process(self):
        self.start()
        node = self.node()[1]
        own, a, b, c = self.pid(), self.pid("group/a"), self.pid("group/b"), self.pid("group/c")
        self.assertEqual(a, b)
        self.assertEqual(len({node, own, a, c}), 4)
        self.assertEqual(self.ask("bank/group/b", "add"), 1)
        self.histrio("tell", "bank/group/a", "abort")
        self.wait_exit("group/a", "SIGABRT")
        wait_until("both are back", lambda: self.pid("group/a") == self.pid("group/b") != a, 20)
        self.assertEqual(self.pid("group/c"), c)
        exits = {row["actor"]: row["reason"] for row in self.rows("exits")}
        self.assertIn("host process ended", exits["group/b"])
        self.assertIn("group/a", exits["group/b"])
        self.ok("stop", "bank")

    def test_kill_exit_and_failures(self):
        self.start()
        node, before = self.node(), self.pid()
        os.kill(before, signal.SIGKILL)
        self.wait_exit("risky", "SIGKILL")
        self.wait_back(before)
        before = self.pid()
        self.histrio("tell", "bank/risky", "quit")
        self.wait_exit("risky", "exit code 3")
        self.wait_back(before)
        before = self.pid()
        self.histrio("tell", "bank/risky", "fail")
        self.wait_exit("risky", "it had to be")
        wait_until("it is back", lambda: self.histrio("ask", "bank/risky", "add", "--timeout", "5s").code == 0)
        self.assertEqual(self.node(), node)
        self.ok("stop", "bank")

    def test_endless_loop_is_ended(self):
        self.start(python='cWorkers: {handlerTimeout: 300ms}')
        node, before = self.node(), self.pid()
        result = self.histrio("ask", "bank/risky", "spin", "--timeout", "20s")
        self.assertNotEqual(result.code, 0)
        self.wait_exit("risky", "timeout libhost_c_behaviors.so in ")
        wait_until("its stack is told", lambda: "a handler runs for long" in self.ok("logs", "bank").out)
        self.assertIn("/histrio-host(cworker_step+0x", self.ok("logs", "bank").out)  # and not the node's function at that place
        self.assertIn("maybe executed", result.err)
        self.wait_back(before)
        self.assertEqual(self.node(), node)
        self.ok("stop", "bank")

    @unittest.skipIf(SANITIZED, "sanitizers reserve memory of their own")
    def test_memory_is_limited(self):
        self.start(python='cWorkers: {memory: 64Mi}')
        node, before = self.node(), self.pid()
        self.histrio("tell", "bank/risky", "hog")
        self.wait_exit("risky", "of 64 MiB")
        self.wait_back(before)
        self.assertEqual(self.node(), node)
        self.ok("stop", "bank")

    @unittest.skipIf(SANITIZED, "sanitizers reserve memory of their own")
    def test_limits_of_python_hold_where_c_has_none(self):
        self.start(python='python: {memory: 64Mi}')
        self.histrio("tell", "bank/risky", "hog")
        self.wait_exit("risky", "of 64 MiB")
        self.ok("stop", "bank")

    @unittest.skipIf(SANITIZED, "sanitizers reserve memory of their own")
    def test_limits_of_python_are_not_those_of_c(self):
        self.start(python='''cWorkers: {memory: 64Mi}
    python: {memory: 1Gi}''')
        self.histrio("tell", "bank/risky", "hog")
        self.wait_exit("risky", "of 64 MiB")
        self.ok("stop", "bank")

    def test_the_api_works_there(self):
        self.start()
        node = self.node()[1]
        self.assertEqual(self.ask("bank/risky", "relay", '{"to": "calm"}'), node)  # asks the node, answers later
        self.assertEqual(self.ask("bank/calm", "relay", '{"to": "risky"}'), self.pid())
        self.assertEqual(self.ask("bank/risky", "spawn"), "spawned")
        self.assertEqual(self.pid("risky/child"), self.pid())  # in the process of who spawned it
        self.assertNotEqual(self.histrio("ask", "bank/risky", "spawn").code, 0)  # the name is taken
        self.ok("tell", "bank/risky/child", "fail")
        wait_until("its end was noticed", lambda: self.ask("bank/risky", "downs") == 1)
        self.ok("tell", "bank/risky", "tick")
        wait_until("timers fire", lambda: self.ask("bank/risky", "ticks") > 3)
        result = self.histrio("ask", "bank/risky", "juggle")
        self.assertIn('no method "juggle"', result.err)
        self.ok("tell", "bank/risky", "log")
        wait_until("its log is the node's", lambda: "a word from C" in self.ok("logs", "bank").out)
        self.ok("stop", "bank")

    def test_state_survives_restarts(self):
        self.start(more="""- name: saving
      behavior: {c: host_c_behaviors.saving}
      isolation: Process
""")
        before = self.pid("saving")
        self.assertEqual(self.ask("bank/saving", "add", '{"amount": 5}'), 5)
        self.assertEqual(self.ask("bank/risky", "add", '{"amount": 5}'), 5)
        for harm in ("smash", "fail"):
            self.histrio("tell", "bank/saving", harm)
            self.histrio("tell", "bank/risky", harm)
            self.wait_exit("saving", "libhost_c_behaviors.so" if harm == "smash" else "it had to be")
        wait_until("it is back in another process", lambda: self.pid("saving") != before, 20)
        self.assertEqual(self.ask("bank/saving", "add", '{"amount": 2}'), 7)
        wait_until("the other one began anew", lambda: self.ask("bank/risky", "add", '{"amount": 2}') == 2)
        os.kill(self.pid("saving"), signal.SIGKILL)
        wait_until("it is back again", lambda: self.histrio("ask", "bank/saving", "add", "--timeout", "5s").out.strip() == "8", 20)
        self.ok("stop", "bank")

    def test_many_callers_wait(self):
        """More than are on their way to a process at once: those whose handlers have returned do not count."""
        self.start()
        node = self.node()
        self.assertEqual(self.ask("bank/calm", "crowd", '{"then": "release"}', timeout="30s"), "answered")
        self.assertEqual(self.ask("bank/calm", "crowd", '{"then": "smash"}', timeout="30s"), "crashed")
        self.assertEqual(self.node(), node)
        self.ok("stop", "bank")

    def test_a_crash_at_the_start_is_told(self):
        self.start(more="""- name: bad
      behavior: {c: host_c_behaviors.crashing}
      isolation: Process
""", ready=False)
        wait_until("the run is there", lambda: self.histrio("get", "systems").out.count("bank"))
        node = self.node()
        self.wait_exit("bad", "start failed: ")
        self.assertIn("libhost_c_behaviors.so in scribble", self.last_exit("bad")["reason"])
        wait_until("the others run", lambda: self.histrio("ask", "bank/risky", "pid", "--timeout", "1s").code == 0)
        self.assertEqual(self.node(), node)
        self.ok("stop", "bank")

    def test_a_library_that_is_gone(self):
        folder = os.path.join(self.folder, "code")
        os.mkdir(folder)
        library = os.path.join(folder, "libhost_c_behaviors.so")
        subprocess.run(["cp", os.path.join(BUILD, "tests/code/libhost_c_behaviors.so"), library], check=True)
        self.environment["HISTRIO_LIBRARY_PATH"] = folder
        self.bank(manifest=self.write("c.yaml", MANIFEST.format(python="", more="")))
        os.unlink(library)
        os.kill(self.pid(), signal.SIGKILL)  # the next process cannot load it; the node still has it
        wait_until("it says why", lambda: "libhost_c_behaviors.so: cannot open" in str(self.rows("exits") + self.rows("units")), 20)
        self.assertEqual(self.pid("calm"), self.node()[1])
        self.ok("stop", "bank")

    def test_an_unknown_behavior_is_refused(self):
        self.start(more="""- name: bad
      behavior: {c: host_c_behaviors.nobody}
      isolation: Process
""", ready=False)
        self.assertEqual(self.runs[-1].wait(), 2)
        self.assertIn('has no behavior "nobody"', self.runs[-1].output)


if __name__ == "__main__":
    unittest.main()
