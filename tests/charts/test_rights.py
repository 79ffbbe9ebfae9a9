#!/usr/bin/env python3
"""The operator with the rights of the chart and no others, through the life of a system: nothing is refused to it."""

import os
import subprocess
import sys
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tests/support")]

from api_server import BIN, ApiServer  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from histrio_operator import BUILD, PODS, SYSTEMS, Operator, condition, wait_served, wait_until  # noqa: E402
from kube_client import MERGE_PATCH  # noqa: E402

BANK = f"{SYSTEMS}/bank"
ACCOUNT = "system:serviceaccount:ops:histrio"
# Whoever makes owner references that block a deletion must be allowed to: clusters of some vendors insist on it.
STRICT_OWNERS = "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement"
MANIFEST = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bank"},
    "spec": {"nodes": {"replicas": 2, "image": "example/bank:1", "update": {"drainTimeout": "1s"}},
             "code": {"c": [{"library": "bank", "path": "libbank.so"}]}, "failure": {"nodeLease": "1s"},
             "actors": [{"name": "ledger", "behavior": {"c": "bank.ledger"}, "args": {"currency": "EUR"}},
                        {"name": "vandal", "behavior": {"c": "bank.vandal"}}]}}


class Rights(unittest.TestCase):
    def live(self, *settings, operator=()):
        server = self.enterContext(ApiServer(arguments=[STRICT_OWNERS]))
        client = server.client()
        result = subprocess.run([os.path.join(BIN, "helm"), "--kubeconfig", server.kubeconfig(), "install", "histrio", os.path.join(TOP, "charts/histrio"),
                                 "--namespace", "ops", "--create-namespace", *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        wait_served(server)
        kubelet = self.enterContext(FakeKubelet(server, 2, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
        os.environ["POD_NAMESPACE"] = "ops"
        self.addCleanup(os.environ.pop, "POD_NAMESPACE")
        account = server.kubeconfig(server.mint_token("ops", "histrio"))
        running = self.enterContext(Operator(account, "--log-level=debug", *operator))

        def ready(nodes):
            system = client.get(BANK)
            status = system.get("status", {})
            return (status.get("observedGeneration") == system["metadata"]["generation"] and condition(system, "Ready").get("status") == "True"
                    and status["nodes"] == {"desired": nodes, "ready": nodes, "updated": nodes, "text": f"{nodes}/{nodes}"})

        def wait_ready(nodes):
            wait_until(lambda: f"{nodes} nodes: {client.get(BANK).get('status')}\n{running.log()[-3000:]}", lambda: ready(nodes), 60)
        client.create(SYSTEMS, MANIFEST)
        wait_ready(2)
        self.ask_as_helm_test(client.items(PODS)[0]["status"]["podIP"])
        client.request("PATCH", BANK, {"spec": {"nodes": {"replicas": 3}}}, content_type=MERGE_PATCH)
        wait_ready(3)
        running.stop()
        running = self.enterContext(Operator(account, "--log-level=debug", *operator))  # which reads what the former one left
        client.request("PATCH", BANK, {"spec": {"nodes": {"replicas": 1}}}, content_type=MERGE_PATCH)
        wait_ready(1)
        client.request("PATCH", BANK, {"metadata": {"annotations": {"histrio.dev/resume": "vandal"}}}, content_type=MERGE_PATCH)
        wait_until("the annotation is done", lambda: "annotations" not in client.get(BANK)["metadata"])
        client.request("PATCH", BANK, {"spec": {"suspend": True}}, content_type=MERGE_PATCH)
        wait_until("all is suspended", lambda: condition(client.get(BANK), "Ready").get("reason") == "Suspended" and not client.items(PODS), 30)
        wait_until("there are Events", lambda: client.items("/apis/events.k8s.io/v1/namespaces/default/events"))
        client.request("DELETE", BANK)
        running.stop()

        ours = [row for row in server.audit() if row["user"]["username"] == ACCOUNT and row["stage"] == "ResponseComplete"]
        self.assertGreater(len(ours), 20)
        self.assertEqual([f'{row["verb"]} {row["requestURI"]}' for row in ours if row["responseStatus"]["code"] in (401, 403)], [])
        self.assertEqual(not_used(server, ours), set())

    def ask_as_helm_test(self, address):
        """The script of helm test, with a pod in place of the Service."""
        rendered = subprocess.run([os.path.join(BIN, "helm"), "template", "histrio", os.path.join(TOP, "charts/histrio"), "--namespace", "ops",
                                   "--kube-version", "1.34.0", "--show-only", "templates/tests/bank.yaml"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        container = next(item for item in yaml.safe_load_all(rendered) if item["kind"] == "Pod")["spec"]["containers"][0]
        script = container["args"][0]
        self.assertEqual(script.count("/dev/tcp/histrio-test.ops/"), 1)
        script = script.replace("histrio-test.ops", address).replace("seq 80", "seq 1")
        result = subprocess.run([*container["command"], script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn('"currency":"EUR"', result.stdout)

    def test_all_namespaces(self):
        self.live()

    def test_one_namespace(self):
        self.live("--set", "watchNamespace=default", operator=["--namespace=default"])


# What needs a right without asking for it by that verb, and what only faults and rare turns need.
RARE = {
    # Apply is a patch, and makes what is not there.
    ("actorplacements", "create"), ("services", "create"), ("poddisruptionbudgets", "create"),
    # Servers that cannot stream the present state are listed.
    ("actorsystems", "list"), ("nodes", "list"),
    # Asked for by the server when owner references block a deletion.
    ("actorsystems/finalizers", "update"),
    # What an earlier system of the name left behind; certificates that are renewed; series of events; reads before a retry.
    ("actorplacements", "delete"), ("services", "delete"), ("poddisruptionbudgets", "delete"), ("secrets", "delete"),
    ("secrets", "update"), ("events", "patch"), ("pods", "get"), ("actorsystems", "get"), ("actorsystems/status", "get"),
    ("actorplacements", "get"), ("nodes", "get")}


def not_used(server, rows):
    """What the operator may do and has no use for."""
    used = set()
    for row in rows:
        reference = row["objectRef"] if "objectRef" in row else {}
        resource = reference.get("resource", "")
        if reference.get("subresource"):
            resource += "/" + reference["subresource"]
        used.add((resource, row["verb"]))
    client = server.client()
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    roles = [client.find(f"{rbac}/clusterroles/histrio"), client.find(f"{rbac}/namespaces/default/roles/histrio"),
             client.find(f"{rbac}/namespaces/ops/roles/histrio-leader")]
    granted = {(resource, verb) for role in roles if role for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    return granted - used - RARE


if __name__ == "__main__":
    unittest.main(verbosity=2)
