#!/usr/bin/env python3
"""The operator on the bad days of an API server: a bank lives on, and the operator does what it would have done, once.

HISTRIO_TEST_LONG=1: the API server is away for 2 minutes (else 30 s), watches are silent until the watchdog of 90 s (else only
new ones, 20 s), nothing is written for 60 s (else 20 s)."""

import os
import signal
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from bank_system import BankSystem, PodCounter  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from histrio_operator import BUILD, Operator, install_crds, wait_served, wait_until  # noqa: E402
from kube_client import ApiError  # noqa: E402

IS_LONG = bool(os.environ.get("HISTRIO_TEST_LONG"))
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/histrio-operator"
WRITE_KINDS = [("patch", "actorsystems/status"), ("create", "secrets"), ("create", "actorfences"), ("update", "actorfences"),
               ("create", "pods"), ("patch", "services"), ("patch", "poddisruptionbudgets"), ("patch", "actorplacements"),
               ("delete", "pods")]
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


class Answers(Day):
    """What the API server says instead of doing it."""

    def refuse_each(self, status, **options):
        """Each kind of write in a bank's life is refused once."""
        return [self.proxy.add(verb=verb, resource=resource, count=1, status=status, **options) for verb, resource in WRITE_KINDS]

    def check_hits(self, rules):
        unused = [f"{rule.verb} {rule.resource}" for rule in rules if not rule.hits]
        self.assertEqual(unused, [], "writes that were never refused")

    def live_with_refusals(self, status, **options):
        rules = self.refuse_each(status, **options)
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        self.check_hits(rules)

    def test_conflict_on_each_write(self):
        self.live_with_refusals(409)

    def test_exists_already_on_each_creation(self):
        rules = [self.proxy.add(verb="create", resource=resource, count=1, status=409, reason="AlreadyExists")
                 for verb, resource in WRITE_KINDS if verb == "create"]
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        self.check_hits(rules)

    def test_internal_error_on_each_write(self):
        self.live_with_refusals(500)

    def test_too_many_requests_on_each_write(self):
        self.live_with_refusals(429, retry_after=1)

    def test_errors_for_all(self):
        """Reads, writes, watches, and the Lease's."""
        self.begin()
        for status in (500, 503, 504, 429):
            self.proxy.add(verb="*", status=status, count=10, retry_after=1)
        self.reconnect()
        self.live()
        self.assertTrue(all(rule.hits == 10 for rule in self.proxy.rules))

    def test_answers_that_never_come(self):
        """The connection is cut, before and after the API server did it; with a name that is never used again nothing is made
        twice."""
        rules = [self.proxy.add(verb=verb, resource=resource, count=1, cut=side)
                 for verb, resource in WRITE_KINDS for side in ("request", "answer")]
        self.begin()
        self.assertEqual(self.made, 2)
        self.live()
        unused = {(rule.verb, rule.resource) for rule in rules if not rule.hits}
        once = {("create", "secrets"), ("create", "actorfences"), ("patch", "services"), ("patch", "poddisruptionbudgets"),
                ("delete", "pods")}  # done by the first answer that was lost, so not tried again
        self.assertLessEqual(unused, once)


class Watches(Day):
    """What the operator is told late, twice, or not at all."""

    def test_expired_at_any_moment(self):
        self.begin()
        for events in range(4):
            self.proxy.add(verb="watch", events=events, error_event=410, count=3)
        self.proxy.add(verb="watch", status=410, count=3)
        self.reconnect()
        self.live()
        self.assertGreater(sum(rule.hits for rule in self.proxy.rules), 8)

    def test_streams_end(self):
        self.begin()
        for cut in ("request", "answer", 100):
            self.proxy.add(verb="watch", cut=cut, count=1)
        for events in range(3):
            self.proxy.add(verb="watch", events=events, end=True, count=2)
        self.reconnect()
        self.live(90)  # each in a row waits longer
        self.assertGreater(sum(rule.hits for rule in self.proxy.rules), 5)

    def test_events_twice(self):
        self.begin()
        rule = self.proxy.add(verb="watch", duplicate=True)
        self.reconnect()
        self.live()
        self.assertGreater(rule.hits, 2)

    def test_events_in_another_order(self):
        self.begin()
        rule = self.proxy.add(verb="watch", reorder=True)
        self.reconnect()
        self.live()
        self.assertGreater(rule.hits, 2)

    def test_silent(self):
        """A dead connection that nobody closed: of an operator that begins, and in the long form of one that follows."""
        self.begin()
        if not IS_LONG:
            self.operator.kill()
        rule = self.proxy.add(verb="watch", silent=True, count=3)
        if IS_LONG:
            self.reconnect()
        else:
            self.operator = self.start_operator()
        wait_until("the watches are silent", lambda: rule.hits == 3)
        self.live(180 if IS_LONG else 60)

    def test_late(self):
        """Pods are seen long after they are made."""
        self.begin()
        self.proxy.add(verb="watch", resource="pods", delay=4, count=3)
        self.reconnect()
        self.live()


class StaleLists(Day):
    """An API server that knows no streaming lists, and answers from the past."""
    server_arguments = ("--feature-gates=WatchList=false",)

    def test_list_from_the_past(self):
        self.begin()
        rule = self.proxy.add(verb="list", stale=True)
        through = self.server.client()
        through.address = type(through.address)(*through.address._replace(netloc=f"127.0.0.1:{self.proxy.port}"))
        paths = {request.target for request in self.proxy.requests if request.verb == "list" and "labelSelector" in request.target}
        self.assertTrue(paths)
        for path in paths:
            through.get(path)
        self.assertTrue(rule.remembered)
        self.bank.scale(3)
        self.bank.wait_settled(3, self.operator)
        self.note()
        self.operator.kill()
        self.operator = self.start_operator()
        wait_until("the old list was given", lambda: rule.hits)
        time.sleep(5)
        self.proxy.clear()
        self.bank.wait_settled(3, self.operator)
        self.check_untouched()


class Away(Day):
    def test_server_away(self):
        self.begin()
        self.server.stop_server()
        time.sleep(120 if IS_LONG else 30)
        self.server.start_server()
        wait_served(self.server)
        self.bank.wait_settled(2, self.operator)
        self.check_untouched()
        self.live()

    def test_work_waits_for_the_server(self):
        """The runtime dies while the API server is away: nothing is placed without a record, and all of it afterwards."""
        self.begin()
        node, epoch, _ = self.rows["ledger"]
        self.server.stop_server()
        os.kill(self.kubelet.runtime(node), signal.SIGKILL)
        time.sleep(10)
        self.server.start_server()
        wait_served(self.server)
        wait_until("the ledger is at a higher epoch", lambda: self.bank.incarnations()["ledger"][1] != epoch, 30)
        self.bank.wait_settled(2, self.operator)
        rows = self.bank.incarnations()
        self.assertEqual({path for path, row in rows.items() if row != self.rows[path]},
                         {path for path, row in self.rows.items() if row[0] == node})
        self.assertEqual(len(self.counter.made), self.made)
        self.assertIsNone(self.operator.process.poll())

    def test_token_rotated(self):
        """The token of a kubelet's file is replaced, and the old one is worth nothing any more."""
        self.operator.kill()
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        if not self.client.find("/api/v1/namespaces/default/serviceaccounts/operator"):
            self.server.service_account("default", "operator", cluster_rules=rules)
        tokens = [self.bound_token(f"token-{number}") for number in range(2)]
        file = self.server.write("token", tokens[0])
        kubeconfig = self.server.kubeconfig("in-a-file", url=self.proxy.url)
        with open(kubeconfig) as source:
            text = source.read().replace('"token": "in-a-file"', f'"tokenFile": "{file}"')
        self.operator = self.start_operator(kubeconfig=self.server.write("kubeconfig-file", text))
        self.begin()
        self.server.write("token", tokens[1])
        self.client.delete("/api/v1/namespaces/default/secrets/token-0")
        wait_until("the old token is refused", lambda: self.is_refused(tokens[0]), 60)
        time.sleep(8)  # longer than a Lease
        self.bank.wait_settled(2, self.operator)
        self.check_untouched()
        self.live()
        self.assertFalse(self.operator.lines("not leading any more"))

    def bound_token(self, secret):
        """Worth something as long as the Secret is there."""
        made = self.client.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": secret}})
        return self.client.create("/api/v1/namespaces/default/serviceaccounts/operator/token", {"spec": {
            "expirationSeconds": 3600, "boundObjectRef": {
                "kind": "Secret", "apiVersion": "v1", "name": secret, "uid": made["metadata"]["uid"]}}})["status"]["token"]

    def is_refused(self, token):
        try:
            self.server.client(token).get("/api/v1/namespaces/default/pods")
        except ApiError as error:
            return error.code == 401
        return False


class Leaders(Day):
    """Who may do it."""

    def take_lease(self):
        """As a replica would that this one does not know of."""
        for _ in range(20):
            lease = self.client.get(LEASE)
            lease["spec"].update(holderIdentity="somebody else", leaseTransitions=lease["spec"].get("leaseTransitions", 0) + 1)
            try:
                return self.client.replace(LEASE, lease)
            except ApiError as error:
                if error.code != 409:
                    raise
        raise AssertionError("the Lease changes all the time")

    def test_lease_lost_and_gained(self):
        self.begin()
        self.take_lease()
        wait_until("it does not lead", lambda: self.operator.lines("not leading any more"))
        writes = len(self.counted_writes())
        self.bank.scale(3)
        wait_until("it leads again", lambda: len(self.operator.lines("leading")) == 2, 30)
        self.assertLessEqual(self.writes_before_second_lead(writes), 0)
        self.bank.wait_settled(3, self.operator)
        self.bank.scale(2)
        self.bank.wait_settled(2, self.operator)
        self.assertEqual(len(self.counter.made), self.made + 1)

    def counted_writes(self, proxy=None):
        return [request for request in (proxy or self.proxy).writes() if request.resource not in ("leases", "events")]

    def writes_before_second_lead(self, writes):
        """Of the writes since then, how many came before the Lease was ours again: its own update is the mark."""
        requests = [request for request in self.proxy.writes() if request.resource != "events"]
        lease = [number for number, request in enumerate(requests) if request.resource == "leases"]
        ours = [number for number, request in enumerate(requests) if request.resource != "leases"][writes:]
        gap = max(range(1, len(lease)), key=lambda number: requests[lease[number]].time - requests[lease[number - 1]].time)
        begin, end = requests[lease[gap - 1]].time, requests[lease[gap]].time
        return sum(begin + 1 < requests[number].time < end for number in ours)

    def test_stopped_for_ten_seconds(self):
        self.begin()
        self.operator.process.send_signal(signal.SIGSTOP)
        self.bank.scale(3)
        time.sleep(10)
        self.operator.process.send_signal(signal.SIGCONT)
        self.bank.wait_settled(3, self.operator)
        self.bank.scale(2)
        self.bank.wait_settled(2, self.operator)
        self.assertEqual(len(self.counter.made), self.made + 1)
        self.assertIsNone(self.operator.process.poll())

    def test_stopped_while_another_takes_over(self):
        """The second replica leads; the first one wakes up late, and does nothing."""
        with FaultProxy(self.server) as other:
            self.begin()
            standby = self.start_operator("--identity=two", proxy=other)
            wait_until("the standby is ready", standby.is_ready)
            self.assertEqual(self.counted_writes(other), [])
            self.operator.process.send_signal(signal.SIGSTOP)
            self.bank.scale(3)
            self.bank.wait_settled(3, standby)
            self.note()
            writes = len(self.counted_writes())
            self.operator.process.send_signal(signal.SIGCONT)
            wait_until("the first one knows", lambda: self.operator.lines("not leading any more"))
            time.sleep(3)
            late = self.counted_writes()[writes:]
            self.assertLessEqual({request.status for request in late}, {409}, late)  # what was on its way is refused
            self.check_untouched()
            standby.stop()
            wait_until("the first one leads again", lambda: len(self.operator.lines("leading")) == 2)
            self.bank.wait_settled(3, self.operator)
            self.check_untouched()

    def test_lease_deleted(self):
        """Its next renewal makes it anew, if nobody was faster."""
        self.begin()
        self.client.delete(LEASE)
        wait_until("it is there again", lambda: (self.client.find(LEASE) or {"spec": {}})["spec"].get("holderIdentity") == "one", 30)
        self.bank.wait_settled(2, self.operator)
        self.check_untouched()
        self.live()

    def test_fence_record_written_by_somebody_else(self):
        self.begin()
        path = "/apis/histrio.dev/v1alpha1/namespaces/default/actorfences/bank"
        record = self.client.get(path)
        record["record"]["term"] += 5
        self.client.replace(path, record)
        self.live()
        self.assertGreater(self.bank.fence()["term"], record["record"]["term"])


class Quiet(Day):
    def test_nothing_changes_nothing_is_written(self):
        self.begin()
        time.sleep(3)  # what is coalesced
        before = len(self.proxy.writes())
        time.sleep(60 if IS_LONG else 20)
        self.assertEqual([request for request in self.proxy.writes()[before:] if request.resource != "leases"], [])


if __name__ == "__main__":
    unittest.main()
