#!/usr/bin/env python3
"""The operator when the API server is away, its token is worth nothing any more, or its Lease is somebody else's; and when nothing
happens. A bank lives on, and the operator does what it would have done, once.

HISTRIO_TEST_LONG=1: the API server is away for 2 minutes (else 30 s), nothing is written for 60 s (else 20 s).
"""

import os
import signal
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_day import IS_LONG, Day  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from histrio_operator import wait_served, wait_until  # noqa: E402
from kube_client import ApiError  # noqa: E402

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/histrio-operator"


class Away(Day):
    def test_server_away(self):
        self.begin()
        self.server.stop_server()
        time.sleep(120 if IS_LONG else 30)
        self.server.start_server()
        wait_served(self.server)
        self.bank.wait_settled(2, self.operator)
        self.check_untouched()
        self.live(120)  # watches that failed all the time wait for up to 30 s

    def test_work_waits_for_the_server(self):
        """The runtime dies while the API server is away: nothing is placed without a record, and all of it afterwards."""
        self.begin()
        node, epoch, _ = self.rows["ledger"]
        self.server.stop_server()
        os.kill(self.kubelet.runtime(node), signal.SIGKILL)
        time.sleep(10)
        self.server.start_server()
        wait_served(self.server)
        wait_until("the ledger is at a higher epoch", lambda: self.bank.incarnations()["ledger"][1] != epoch, 90)
        self.bank.wait_settled(2, self.operator)
        rows = self.bank.incarnations()
        self.assertEqual({path for path, row in rows.items() if row != self.rows[path]},
                         {path for path, row in self.rows.items() if row[0] == node})
        self.assertEqual(len(self.counter.made), self.made)
        self.assertIsNone(self.operator.process.poll())

    def test_nothing_is_done_before_all_caches_are_filled(self):
        """The list of Pods is late: to an operator that worked without it all Pods would be missing."""
        self.begin()
        self.operator.kill()
        self.proxy.clear()
        late = self.proxy.add(verb="[lw]*", resource="pods", hold="before")
        self.operator = self.start_operator()
        late.wait_held()
        before = len(self.proxy.writes())
        time.sleep(5)
        self.assertFalse(self.operator.is_ready())
        self.assertEqual(self.operator.http("/healthz"), "ok\n")
        self.assertEqual([request for request in self.proxy.writes()[before:] if request.resource != "leases"], [])
        self.proxy.clear()
        late.release()
        wait_until("it is ready", self.operator.is_ready)
        self.bank.wait_settled(2, self.operator)
        self.check_untouched()

    def test_what_it_measures(self):
        """The names that dashboards for operators look at, and ours."""
        self.begin()
        text = self.operator.http("/metrics")
        for name in ("workqueue_depth", "workqueue_adds_total", "workqueue_retries_total", "rest_client_requests_total",
                     "histrio_reconcile_total", "histrio_operator_leader", "histrio_systems", "histrio_quarantined_units",
                     "histrio_reconcile_duration_seconds", "histrio_cached_objects"):
            self.assertRegex(text, rf"(?m)^# TYPE {name} ", name)
            self.assertRegex(text, rf"(?m)^{name}[a-z_]*({{.*}})? \S+$", name)

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
        begun = time.monotonic()
        self.take_lease()
        wait_until("it does not lead", lambda: self.operator.lines("not leading any more"))
        writes = len(self.counted_writes())
        self.bank.scale(3)
        wait_until("it leads again", lambda: len(self.operator.lines("leading")) == 2, 30)
        self.assertLessEqual(self.writes_before_second_lead(writes, begun), 0)
        self.bank.wait_settled(3, self.operator)
        self.bank.scale(2)
        self.bank.wait_settled(2, self.operator)
        self.assertEqual(len(self.counter.made), self.made + 1)

    def counted_writes(self, proxy=None):
        return [request for request in (proxy or self.proxy).writes() if request.resource not in ("leases", "events")]

    def writes_before_second_lead(self, writes, begun):
        """Of the writes since then, how many came before the Lease was ours again: its own update is the mark, after the longest time
        without one since `begun` (earlier tests had such times as well)."""
        requests = [request for request in self.proxy.writes() if request.resource != "events"]
        lease = [number for number, request in enumerate(requests) if request.resource == "leases" and request.time > begun]
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
