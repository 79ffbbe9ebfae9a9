#!/usr/bin/env python3
"""The command line on a cluster: what it shows of objects, and what it writes for the operator."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import BIN, ApiServer  # noqa: E402
from histrio_operator import install_crds  # noqa: E402
from histrio_run import BUILD, Result  # noqa: E402

SYSTEMS = "/apis/histrio.dev/v1alpha1/namespaces/default/actorsystems"
PLACEMENTS = "/apis/histrio.dev/v1alpha1/namespaces/default/actorplacements"
PODS = "/api/v1/namespaces/default/pods"
RULES = [{"apiGroups": ["histrio.dev"], "resources": ["actorsystems", "actorplacements"], "verbs": ["get", "list"]}]

SYSTEM = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bank"},
    "spec": {"nodes": {"replicas": 2, "image": "bank:1"},
             "code": {"c": [{"library": "bank", "path": "libbank.so"}]},
             "actors": [{"name": "ledger", "behavior": {"c": "bank.ledger"}}]},
}
STATUS = {
    "observedGeneration": 1, "restarts": 4, "actors": 1,
    "units": {"desired": 2, "running": 1, "text": "1/2"}, "nodes": {"desired": 2, "ready": 2, "updated": 2, "text": "2/2"},
    "conditions": [{"type": "Ready", "status": "False", "reason": "UnitQuarantined", "message": "vandal",
                    "lastTransitionTime": "2026-01-02T03:04:05Z"}],
    "nodeStatuses": [{"node": "bank-nodes-0", "pod": "bank-nodes-0", "kubeNode": "node1", "state": "Connected", "units": 1}],
    "recentExits": [{"actor": "ledger", "node": "bank-nodes-0", "reason": "asked to fail", "decision": "Restart",
                     "at": "2026-01-02T03:04:05Z"}],
}
PLACEMENT = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorPlacement",
    "metadata": {"name": "bank-0", "labels": {"histrio.dev/system": "bank"}}, "system": "bank", "count": 2,
    "actors": [{"path": "ledger", "unit": "ledger", "node": "bank-nodes-0", "kubeNode": "node1", "state": "Running",
                "rule": "Assertion", "epoch": "1.7", "incarnation": 3},
               {"path": "vandal", "unit": "vandal", "state": "Quarantined", "reason": "killed by SIGSEGV", "rule": "Restart",
                "incarnation": 0, "restarts": 2}],
}


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ApiServer().start()
        cls.addClassCleanup(cls.server.stop)
        install_crds(cls.server)
        client = cls.server.client()
        client.create(SYSTEMS, SYSTEM)
        client.merge(f"{SYSTEMS}/bank/status", {"status": STATUS})
        client.create(PLACEMENTS, PLACEMENT)
        client.create(PODS, {"metadata": {"name": "bank-nodes-0"}, "spec": {"containers": [{"name": "node", "image": "bank:1"}]}})
        cls.admin = cls.server.kubeconfig()

    def histrio(self, *arguments, kubeconfig=None, program="histrio"):
        environment = dict(os.environ, KUBECONFIG=kubeconfig or self.admin)
        return Result(subprocess.run([os.path.join(BUILD, "bin", program), *arguments], env=environment, check=False,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                                     stdin=subprocess.DEVNULL))

    def ok(self, *arguments, **options):
        result = self.histrio(*arguments, "-n", "default", **options)
        self.assertEqual((result.code, result.err), (0, ""), arguments)
        return result

    def annotation(self, key, path=f"{SYSTEMS}/bank"):
        return self.server.client().get(path)["metadata"].get("annotations", {}).get(f"histrio.dev/{key}")

    def test_tables(self):
        row = self.ok("get", "systems").out.splitlines()[1].split()
        self.assertEqual(row[:6], ["bank", "False", "1/2", "2/2", "4", "UnitQuarantined"])
        self.assertIn("bank ", self.histrio("get", "systems", "-A").out)
        actors = self.ok("get", "actors", "bank", "-o", "wide").out.splitlines()
        self.assertEqual(actors[1].split()[:6], ["bank/ledger", "bank-nodes-0", "node1", "Running", "1.7", "3"])
        self.assertEqual(actors[2].split()[:4], ["bank/vandal", "-", "-", "Quarantined"])
        units = self.ok("get", "units", "bank", "-o", "json").json["items"]
        self.assertEqual([(unit["unit"], unit["state"]) for unit in units], [("ledger", "Running"), ("vandal", "Quarantined")])
        units = [line.split() for line in self.ok("get", "units", "bank").out.splitlines()]
        self.assertEqual(units, [["UNIT", "NODE", "STATE", "EPOCH", "RESTARTS", "RULE"],
                                 ["bank/ledger", "bank-nodes-0", "Running", "1.7", "0", "Assertion"],
                                 ["bank/vandal", "-", "Quarantined", "-", "2", "Restart"]])
        self.assertIn("bank-nodes-0", self.ok("get", "nodes", "bank").out)
        self.assertIn("asked to fail", self.ok("get", "exits", "bank").out)
        self.assertIn("killed by SIGSEGV", self.ok("describe", "bank/vandal").out)

    def test_plugin_needs_no_option(self):
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(os.path.join(BUILD, "bin/histrio"), os.path.join(folder, "kubectl-histrio"))
            environment = dict(os.environ, KUBECONFIG=self.admin, PATH=f"{folder}:{os.environ['PATH']}")
            result = subprocess.run([os.path.join(BIN, "kubectl"), "histrio", "get", "systems"], env=environment, check=True,
                                    stdout=subprocess.PIPE, text=True)
            self.assertIn("bank ", result.stdout)

    def test_requests_become_annotations(self):
        self.ok("resume", "bank/vandal")
        self.ok("resume", "bank/ledger")
        self.assertEqual(self.annotation("resume"), "vandal,ledger")
        self.ok("move", "bank/ledger", "bank-nodes-1")
        self.assertEqual(self.annotation("move"), "ledger=bank-nodes-1")
        self.ok("forget", "bank/bank-nodes-1")
        self.assertEqual(self.annotation("forget"), "bank-nodes-1")
        pod = f"{PODS}/bank-nodes-0"
        self.ok("cordon", "bank/bank-nodes-0")
        self.assertEqual(self.annotation("cordon", pod), "true")
        self.ok("uncordon", "bank/bank-nodes-0")
        self.assertIsNone(self.annotation("cordon", pod))
        self.ok("drain", "bank/bank-nodes-0")
        self.assertEqual(self.annotation("drain", pod), "true")

    def refused(self, code, part, *arguments, **options):
        result = self.histrio(*arguments, **options)
        self.assertEqual(result.code, code, result.err)
        self.assertIn(part, result.err)

    def test_refusals_say_what_is_wrong(self):
        self.refused(3, 'actorsystem "none" of namespace "default"', "get", "units", "none", "-n", "default")
        self.refused(3, 'pod "none"', "cordon", "bank/none", "-n", "default")
        self.refused(2, "kubectl delete actorsystem", "stop", "bank", "-n", "default")
        self.refused(2, "describe", "explain", "bank/ledger", "-n", "default")
        self.refused(3, "no node, and no actor that is somewhere now", "logs", "bank/vandal", "-n", "default")
        self.refused(3, 'no context "other"', "get", "systems", "--context", "other")
        self.refused(3, "/none", "get", "systems", "--kubeconfig", "/none")
        reader = self.server.kubeconfig(self.server.service_account("default", "reader", RULES))
        self.ok("get", "actors", "bank", kubeconfig=reader)
        self.refused(10, "Forbidden", "resume", "bank/vandal", "-n", "default", kubeconfig=reader)
        self.refused(10, "Forbidden", "ask", "bank/ledger", "balance", "-n", "default", kubeconfig=reader)

    def test_nobody_behind_the_service(self):
        self.refused(3, 'service "bank"', "ask", "bank/ledger", "balance", "-n", "default")
        self.server.client().create("/api/v1/namespaces/default/services", {
            "metadata": {"name": "bank"}, "spec": {"selector": {"histrio.dev/system": "bank"},
                                                   "ports": [{"name": "http", "port": 7072}]}})
        # What the controllers would make of it.
        self.server.client().create("/api/v1/namespaces/default/endpoints", {"metadata": {"name": "bank"}})
        # They may come: a system that became Ready a moment ago has its endpoints a moment later.
        started = time.monotonic()
        self.refused(4, "no endpoints available", "ask", "bank/ledger", "balance", "-n", "default", "--timeout", "1s")
        self.assertGreaterEqual(time.monotonic() - started, 1)

    def test_server_away(self):
        with ApiServer() as other:
            kubeconfig = other.kubeconfig()
            other.stop_server()
            self.refused(4, "actorsystems", "get", "systems", "-n", "default", kubeconfig=kubeconfig)


if __name__ == "__main__":
    unittest.main(verbosity=2)
