"""A day in the life of the example bank beside an API server with faults: the frame of tests of the operator."""

import os
import sys
import unittest

from api_server import ApiServer
from bank_system import BankSystem, PodCounter
from fake_kubelet import FakeKubelet
from fault_proxy import FaultProxy
from histrio_operator import BUILD, Operator, install_crds

IS_LONG = bool(os.environ.get("HISTRIO_TEST_LONG"))
MOVED_MAX = 2  # units that go to the third node and come back: 6 units are 2 a node


class Day(unittest.TestCase):
    """A server, a kubelet and a proxy for all tests of a class; an operator and a bank of each test."""
    server_arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(ApiServer(cls.server_arguments))
        cls.client = cls.server.client()
        install_crds(cls.server)
        cls.kubelet = cls.enterClassContext(
            FakeKubelet(cls.server, 3, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
        cls.proxy = cls.enterClassContext(FaultProxy(cls.server))

    def setUp(self):
        self.bank = BankSystem(self.server)
        self.counter = PodCounter(self.bank)
        self.operators = []
        self.operator = self.start_operator()

    def tearDown(self):
        self.proxy.clear()
        self.bank.delete()
        self.counter.stop()
        for operator in self.operators:
            operator.kill()
            if sys.exc_info()[0] or self.is_failed():
                print(f"---- {self.id()}: operator\n{operator.log()[-6000:]}", file=sys.stderr)

    def is_failed(self):
        return bool(self._outcome.result and any(test is self for test, _ in
                                                 self._outcome.result.failures + self._outcome.result.errors))

    def start_operator(self, *arguments, proxy=None, kubeconfig=None):
        operator = Operator(kubeconfig or self.server.kubeconfig(url=(proxy or self.proxy).url), *(arguments or ["--identity=one"]))
        self.operators.append(operator)
        return operator

    def begin(self, replicas=2):
        """The bank runs, and what must not change is noted."""
        self.bank.create(replicas=replicas)
        self.bank.wait_settled(replicas, self.operator)
        self.note()

    def note(self):
        self.pods = set(self.bank.pods())
        self.runtimes = {name: self.kubelet.runtime(name) for name in self.pods}
        self.rows = self.bank.incarnations()
        self.made = len(self.counter.made)

    def check_untouched(self):
        """Nothing happened to the bank."""
        self.assertIsNone(self.operator.process.poll(), self.operator.log()[-2000:])
        self.assertEqual(set(self.bank.pods()), self.pods)
        self.assertEqual({name: self.kubelet.runtime(name) for name in self.pods}, self.runtimes)
        self.assertEqual(self.bank.incarnations(), self.rows)
        self.assertEqual(len(self.counter.made), self.made)

    def live(self, seconds=60):
        """Up and down again: one Pod is made, only the units that move are started anew."""
        self.bank.scale(3)
        self.bank.wait_settled(3, self.operator, seconds)
        self.bank.scale(2)
        self.bank.wait_settled(2, self.operator, seconds)
        self.assertIsNone(self.operator.process.poll(), self.operator.log()[-2000:])
        self.assertEqual(len(self.counter.made), self.made + 1, self.counter.made)
        self.assertEqual({name: self.kubelet.runtime(name) for name in self.pods & set(self.bank.pods())},
                         {name: self.runtimes[name] for name in self.pods & set(self.bank.pods())})
        rows = self.bank.incarnations()
        moved = {path.split("/")[0] for path, row in rows.items() if row != self.rows[path]}
        self.assertLessEqual(len(moved), MOVED_MAX if self.pods <= set(self.bank.pods()) else len(rows), f"{self.rows}\n{rows}")

    def reconnect(self):
        """All connections of the operator end, so that watches begin anew."""
        self.proxy.down()
        self.proxy.up()
