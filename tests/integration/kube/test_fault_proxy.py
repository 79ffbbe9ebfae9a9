#!/usr/bin/env python3
"""Each fault of the fault proxy, seen by a client through it: a test bed that does not make its faults proves nothing."""

import http.client
import os
import subprocess
import sys
import threading
import time
import unittest
import unittest.mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from fault_proxy import FaultProxy, Request  # noqa: E402
from histrio_run import wait_until  # noqa: E402
from kube_client import ApiError, KubeClient  # noqa: E402

MAPS = "/api/v1/namespaces/default/configmaps"
GONE = (ConnectionError, http.client.HTTPException, OSError)


def setUpModule():
    global server
    server = ApiServer().start()
    unittest.addModuleCleanup(server.stop)


class Words(unittest.TestCase):
    """Requests in the words of rules; no server needed."""

    def check(self, method, target, expected):
        request = Request(method, target, {})
        self.assertEqual((request.verb, request.group, request.resource, request.namespace, request.name), expected)

    def test_words(self):
        self.check("GET", "/readyz", ("list", "", "", "", ""))
        self.check("GET", "/api/v1/pods?watch=true", ("watch", "", "pods", "", ""))
        self.check("GET", "/api/v1/pods?limit=5", ("list", "", "pods", "", ""))
        self.check("GET", "/api/v1/namespaces/a", ("get", "", "namespaces", "", "a"))
        self.check("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "namespaces/finalize", "", "a"))
        self.check("PATCH", "/apis/histrio.dev/v1alpha1/namespaces/a/actorsystems/bank/status",
                   ("patch", "histrio.dev", "actorsystems/status", "a", "bank"))
        self.check("DELETE", "/api/v1/namespaces/a/pods/b", ("delete", "", "pods", "a", "b"))
        self.check("DELETE", "/api/v1/namespaces/a/pods", ("deletecollection", "", "pods", "a", ""))
        self.check("POST", "/api/v1/namespaces/a/services/b:http/proxy/v1/ask",
                   ("create", "", "services/proxy/v1/ask", "a", "b:http"))


class Faults(unittest.TestCase):
    def setUp(self):
        self.proxy = FaultProxy(server)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        self.client = KubeClient(self.proxy.url, server.ca_file, server.admin_token, timeout=5)
        self.direct = server.client()
        self.addCleanup(lambda: self.direct.delete(MAPS))

    def make(self, *names):
        for name in names:
            self.direct.create(MAPS, {"metadata": {"name": name}, "data": {"text": "x" * 1000}})

    def names(self):
        return [item["metadata"]["name"] for item in self.client.items(MAPS)]

    def watch(self, expected, version="0"):
        """The (type, name) of the first events of a watch; at most `expected` of them."""
        seen = []
        for event in self.client.watch(f"{MAPS}?resourceVersion={version}", 5):
            seen.append((event["type"], event["object"]["metadata"].get("name")))
            if len(seen) == expected:
                break
        return seen

    # ---- without and with answers of its own ----

    def test_nothing(self):
        created = self.client.create(MAPS, {"metadata": {"name": "a"}, "data": {"text": "x" * 200000}})
        self.assertEqual(len(self.client.get(f"{MAPS}/a")["data"]["text"]), 200000)
        self.client.replace(f"{MAPS}/a", dict(created, data={"text": "y"}))
        with self.assertRaises(ApiError) as refused:
            self.client.replace(f"{MAPS}/a", created)
        self.assertEqual(refused.exception.reason, "Conflict")
        self.client.merge(f"{MAPS}/a", {"data": {"b": "c"}})
        self.client.delete(f"{MAPS}/a")
        self.assertEqual([request.verb for request in self.proxy.writes()], ["create", "update", "update", "patch", "delete"])
        self.assertEqual([request.status for request in self.proxy.writes()], [201, 200, 409, 200, 200])

    def test_status(self):
        rule = self.proxy.add(verb="list", resource="configmaps", skip=1, count=2, status=429, retry_after=3)
        self.names()
        for _ in range(2):
            connection, response = self.client.open("GET", MAPS)
            self.addCleanup(connection.close)
            self.assertEqual((response.status, response.headers["Retry-After"]), (429, "3"))
        self.names()
        self.assertEqual((rule.seen, rule.hits), (3, 2))
        for code, reason in ((409, "Conflict"), (410, "Expired"), (500, "InternalError")):
            self.proxy.clear()
            self.proxy.add(verb="create", namespace="default", status=code)
            with self.assertRaises(ApiError) as refused:
                self.client.create(MAPS, {"metadata": {"name": "a"}})
            self.assertEqual((refused.exception.code, refused.exception.reason), (code, reason))
        self.proxy.clear()
        self.assertEqual(self.names(), [])

    def test_who(self):
        self.proxy.add(user_agent="somebody", status=500)
        self.proxy.add(name="b", status=500)
        self.make("a", "b")
        self.client.get(f"{MAPS}/a")
        with self.assertRaises(ApiError):
            self.client.get(f"{MAPS}/b")

    def test_mistakes(self):
        for wrong in ({}, {"nothing": 1}, {"drop": True, "status": 500}, {"verb": "list", "silent": True}):
            with self.assertRaises(ValueError):
                self.proxy.add(**wrong)

    def test_stale(self):
        self.make("a")
        rule = self.proxy.add(verb="list", stale=True, count=2)
        old = self.client.get(MAPS)
        self.make("b")
        self.assertEqual([self.client.get(MAPS), self.client.get(MAPS)], [old, old])
        self.assertEqual(self.names(), ["a", "b"])
        self.assertEqual(rule.hits, 2)

    # ---- connections ----

    def test_delay(self):
        self.proxy.add(delay=0.5)
        started = time.monotonic()
        self.names()
        self.assertGreaterEqual(time.monotonic() - started, 0.5)

    def test_drop(self):
        rule = self.proxy.add(verb="list", count=1, drop=True)
        hasty = KubeClient(self.proxy.url, server.ca_file, server.admin_token, timeout=2)
        with self.assertRaises(TimeoutError):
            hasty.items(MAPS)
        self.assertEqual(rule.hits, 1)
        self.names()

    def test_cut(self):
        self.proxy.add(verb="create", count=1, cut="request")
        self.proxy.add(verb="create", count=1, cut="answer")
        for arrived in (None, "a"):
            with self.assertRaises(GONE):
                self.client.create(MAPS, {"metadata": {"name": "a"}})
            found = self.direct.find(f"{MAPS}/a")
            self.assertEqual(found and found["metadata"]["name"], arrived)
        self.proxy.add(verb="list", count=1, cut=100)
        with self.assertRaises(GONE):
            self.names()

    def test_down(self):
        version = self.direct.get(MAPS)["metadata"]["resourceVersion"]
        with subprocess.Popen(["curl", "-sS", "--cacert", server.ca_file, "-H", f"Authorization: Bearer {server.admin_token}",
                               f"{self.proxy.url}{MAPS}?watch=true&resourceVersion={version}"], stderr=subprocess.PIPE,
                              text=True) as curl:
            wait_until("the watch is open", lambda: any(request.status for request in list(self.proxy.requests)))
            self.proxy.down()
            self.assertIn("reset by peer", curl.communicate(timeout=10)[1])
        with self.assertRaises(ConnectionRefusedError):
            self.names()
        self.proxy.up()
        self.names()

    def test_hold(self):
        for side, arrived in (("before", False), ("after", True)):
            rule = self.proxy.add(verb="create", hold=side)
            results = []

            def create():
                try:
                    results.append(self.client.create(MAPS, {"metadata": {"name": side}}))
                except GONE:
                    results.append(None)

            thread = threading.Thread(target=create)
            thread.start()
            rule.wait_held()
            self.assertEqual(self.direct.find(f"{MAPS}/{side}") is not None, arrived)
            self.assertEqual(results, [])
            rule.release("cut")
            thread.join(5)
            self.assertEqual(results, [None])
            self.assertEqual(self.direct.find(f"{MAPS}/{side}") is not None, arrived)
            self.proxy.remove(rule)
        self.direct.delete(f"{MAPS}/{side}")
        self.proxy.add(verb="create", hold="before")
        thread = threading.Thread(target=create)
        thread.start()
        self.proxy.rules[0].wait_held()
        self.proxy.clear()  # passes what is held
        thread.join(5)
        self.assertEqual(results[-1]["metadata"]["name"], side)

    # ---- watches ----

    def test_watch_passes(self):
        self.make("a", "b")
        self.assertEqual(self.watch(2), [("ADDED", "a"), ("ADDED", "b")])
        version = self.direct.get(MAPS)["metadata"]["resourceVersion"]
        events = self.client.watch(f"{MAPS}?resourceVersion={version}", 5)
        thread = threading.Timer(0.2, self.make, "c")
        thread.start()
        self.assertEqual(next(events)["object"]["metadata"]["name"], "c")
        events.close()
        wait_until("the proxy sees that the client left", lambda: not self.proxy.connections)

    def test_silent(self):
        self.make("a", "b")
        self.proxy.add(verb="watch", events=1, silent=True)
        with self.assertRaises(TimeoutError):
            self.watch(2)
        self.assertTrue(self.proxy.requests[-1].status)

    def test_end_and_error(self):
        self.make("a", "b")
        self.proxy.add(verb="watch", count=1, events=1, end=True)
        self.assertEqual(self.watch(9), [("ADDED", "a")])
        self.proxy.add(verb="watch", count=1, error_event=410)
        events = list(self.client.watch(MAPS, 3))
        self.assertEqual([(event["type"], event["object"]["code"], event["object"]["reason"]) for event in events],
                         [("ERROR", 410, "Expired")])
        self.proxy.add(verb="watch", count=1, events=2, error_event=410)
        self.assertEqual([kind for kind, _ in self.watch(9)], ["ADDED", "ADDED", "ERROR"])

    def test_duplicate(self):
        self.make("a", "b")
        self.proxy.add(verb="watch", duplicate=True)
        self.assertEqual([name for _, name in self.watch(4)], ["a", "a", "b", "b"])

    def test_reorder(self):
        self.make("a", "b", "c")
        self.enterContext(unittest.mock.patch("fault_proxy.REORDER_SECONDS", 2))  # however late the neighbour comes
        self.proxy.add(verb="watch", reorder=True)
        self.assertEqual([name for _, name in self.watch(3)], ["b", "a", "c"])

    def test_cut_in_an_event(self):
        self.make("a", "b")
        self.proxy.add(verb="watch", cut=50)
        with self.assertRaises((ValueError, *GONE)):  # half an event is no JSON
            self.watch(2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
