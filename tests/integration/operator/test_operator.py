#!/usr/bin/env python3
"""The operator against a real API server, with Pods that are processes: from creation to deletion, and what goes wrong between."""

import contextlib
import copy
import json
import os
import signal
import sys
import time
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from bank_system import ACTORS, SPEC  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from histrio_operator import (BUILD, FENCES, PLACEMENTS, PODS, SLOW, SYSTEMS, Operator, condition, install_crds,  # noqa: E402
                              wait_until)
from kube_client import ApiError  # noqa: E402

BANK = f"{SYSTEMS}/bank"
MANIFEST = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bank"},
    "spec": {**SPEC, "nodes": {**SPEC["nodes"], "replicas": 3}}}
UNITS = 6
OURS = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhistrio-operator"
WRITES = ("create", "update", "patch", "delete")


def counted_writes(server):
    """Of all replicas so far, without what an election needs."""
    return [f'{row["verb"]} {row["requestURI"]}' for row in server.audit()
            if row["verb"] in WRITES and row["stage"] == "ResponseComplete" and
            row.get("userAgent", "").startswith("histrio-operator") and "/leases" not in row["requestURI"]]


class Bank(unittest.TestCase):
    maxDiff = None
    """Each class has a server and a kubelet, each test an operator and a bank of its own."""
    machines = 3
    operator_arguments = ("--identity=one",)  # so that the next one need not wait for the Lease of the killed one

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(ApiServer())
        cls.client = cls.server.client()
        install_crds(cls.server)
        cls.kubelet = cls.enterClassContext(
            FakeKubelet(cls.server, cls.machines, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))

    def setUp(self):
        self.operator = self.enterContext(self.start_operator())
        wait_until("it leads", lambda: self.operator.metric("histrio_operator_leader") == 1)

    def tearDown(self):
        """As the garbage collector does it."""
        self.kubelet.set_collecting(True)
        if self.client.find(BANK):
            self.client.delete(BANK)
        self.kubelet.restore()
        wait_until(lambda: f"the Pods are gone: {self.pods()} {self.kubelet.problem}", lambda: not self.pods(), 60)
        self.assertEqual(self.operator.stop(), 0, self.operator.log()[-5000:])
        for path in (FENCES, PLACEMENTS, "/api/v1/namespaces/default/secrets", "/api/v1/namespaces/default/services",
                     "/apis/policy/v1/namespaces/default/poddisruptionbudgets"):
            for item in self.client.items(f"{path}?{OURS}"):
                self.client.delete(f"{path}/{item['metadata']['name']}")

    def start_operator(self, *arguments):
        return Operator(self.server.kubeconfig(), *self.operator_arguments, *arguments)

    def create(self, **nodes):
        manifest = copy.deepcopy(MANIFEST)
        manifest["spec"]["nodes"].update(nodes)
        self.client.create(SYSTEMS, manifest)

    # ---- looking ----

    def system(self):
        return self.client.get(BANK)

    def is_ready(self, **expected):
        """Ready for the present generation, and status.nodes as expected."""
        system = self.system()
        status = system.get("status", {})
        return (status.get("observedGeneration") == system["metadata"]["generation"] and
                condition(system, "Ready").get("status") == "True" and
                condition(system, "Reconciling").get("status") == "False" and
                all(status["nodes"][key] == value for key, value in expected.items()))

    def wait_ready(self, seconds=30, **expected):
        wait_until(lambda: f"ready {expected}: {json.dumps(self.system().get('status'))[:3000]}\n{self.operator.log()[-3000:]}",
                   lambda: self.is_ready(**expected), seconds)

    def wait_condition(self, kind, status, reason, seconds=20):
        def holds():
            row = condition(self.system(), kind)
            return row.get("status") == status and row.get("reason") == reason and row
        return wait_until(lambda: f"{kind}={status} {reason}: {self.system().get('status', {}).get('conditions')}", holds, seconds)

    def pods(self):
        return {pod["metadata"]["name"]: pod for pod in self.client.items(PODS)}

    def rows(self):
        """Where each actor is: path -> row of the ActorPlacements."""
        return {row["path"]: row for item in self.client.items(PLACEMENTS) for row in item["actors"]}

    def rules(self):
        return {path: row["rule"] for path, row in self.rows().items()}

    def placements(self):
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in self.client.items(PLACEMENTS)}

    def running_rows(self):
        rows = self.rows()
        return rows if len(rows) == ACTORS and all(row["state"] == "Running" for row in rows.values()) else None

    def wait_quiet(self, seconds=3):
        """Until nothing was written for so long: what is coalesced has been."""
        def is_quiet():
            before = len(counted_writes(self.server))
            time.sleep(seconds)
            return len(counted_writes(self.server)) == before
        wait_until("the writes end", is_quiet, 40)

    def epochs(self):
        return {actor: tuple(int(part) for part in row.get("epoch", "0.0").split(".")) for actor, row in self.rows().items()}

    def incarnations(self):
        wait_until("all rows are running", self.running_rows)
        return {actor: (row.get("node"), row.get("epoch"), row.get("incarnation")) for actor, row in self.rows().items()}

    def ask(self, actor, method, arguments, verb="ask"):
        """Through the JSON gateway of the first node that answers."""
        for pod in self.pods().values():
            address = pod["status"].get("podIP")
            if not address:
                continue
            request = urllib.request.Request(f"http://{address}:7072/v1/{verb}/{actor}/{method}", json.dumps(arguments).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read())
        raise AssertionError("no node has an address")

    # ---- doing ----

    def change(self, spec):
        self.client.merge(BANK, {"spec": spec})

    def annotate(self, path, **annotations):
        self.client.merge(path, {"metadata": {"annotations": {f"histrio.dev/{key}": value for key, value in annotations.items()}}})

    def node_of(self, actor):
        """Placements are written after the status that says Ready."""
        return wait_until(f"{actor} is somewhere", lambda: self.rows().get(actor, {}).get("node"))


class Life(Bank):
    def test_from_creation_to_deletion(self):
        self.create()
        self.wait_ready(ready=3, updated=3)
        pods = self.pods()
        self.assertEqual(sorted(pods), ["bank-nodes-0", "bank-nodes-1", "bank-nodes-2"])
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in pods.values()}), 3)
        system = self.system()
        self.assertEqual(system["status"]["units"]["text"], f"{UNITS}/{UNITS}")
        self.assertEqual(system["status"]["replicas"], 3)
        self.assertEqual(self.client.get(f"{BANK}/scale")["status"]["selector"], "histrio.dev/system=bank")
        rows = wait_until("all rows are running", self.running_rows)
        # When a node came so late that the others began without it, any units were moved to it.
        is_late = any(row["rule"] == "Balance" for row in rows.values())
        self.assertEqual({row["kubeNode"] for path, row in rows.items() if is_late or path.endswith("/counter")}, set(self.kubelet.machines))
        service = self.client.get("/api/v1/namespaces/default/services/bank")
        self.assertEqual([port["port"] for port in service["spec"]["ports"]], [7071, 7072])
        self.assertIsNotNone(self.client.find("/apis/policy/v1/namespaces/default/poddisruptionbudgets/bank-nodes"))
        self.assertIsNotNone(self.client.find("/api/v1/namespaces/default/secrets/bank-histrio-tls"))
        owner = self.client.get(f"{FENCES}/bank")["metadata"]["ownerReferences"][0]
        self.assertEqual((owner["uid"], owner["controller"]), (system["metadata"]["uid"], True))
        self.ask("tellers.0/counter", "deposit", {"amount": 5})
        self.client.delete(BANK)
        wait_until("the Pods are gone", lambda: not self.pods())
        wait_until("the operator knows nothing of it", lambda: self.operator.metric('histrio_systems{state="known"}') == 0)

    def test_nothing_changes_nothing_is_written(self):
        self.create()
        self.wait_ready(ready=3)
        wait_until("all rows are running", self.running_rows)
        self.wait_quiet()
        before = counted_writes(self.server)
        time.sleep(10)
        self.assertEqual(counted_writes(self.server)[len(before):], [])

    def test_a_name_again(self):
        self.create(replicas=1)
        self.wait_ready(ready=1)
        self.kubelet.set_collecting(False)
        self.client.delete(BANK)
        self.create(replicas=1)
        self.wait_condition("Ready", "False", "PreviousPodsTerminating")
        self.assertEqual(list(self.pods()), ["bank-nodes-0"])
        self.kubelet.set_collecting(True)
        self.wait_ready(ready=1)
        self.assertEqual(list(self.pods()), ["bank-nodes-1"])


class Failures(Bank):
    def test_runtime_killed(self):
        self.create()
        self.wait_ready(ready=3)
        wait_until("all rows are running", self.running_rows)
        before = self.epochs()
        victim = self.node_of("ledger")
        os.kill(self.kubelet.runtime(victim), signal.SIGKILL)
        wait_until("the ledger has a higher epoch", lambda: self.epochs()["ledger"] > before["ledger"] and self.running_rows())
        self.wait_ready(ready=3)
        self.assertEqual(sorted(self.pods()), ["bank-nodes-0", "bank-nodes-1", "bank-nodes-2"])
        self.assertIn("Proof", [row["rule"] for row in self.system()["status"]["recentExits"]])
        self.assertEqual(self.rows()["ledger"]["rule"], "Proof")

    def test_pod_killed(self):
        self.create()
        self.wait_ready(ready=3)
        wait_until("all rows are running", self.running_rows)
        before = self.epochs()
        victim = self.node_of("ledger")
        self.kubelet.kill(victim)
        wait_until("the ledger has a higher epoch", lambda: self.epochs()["ledger"] > before["ledger"] and self.running_rows())
        self.wait_ready(ready=3)
        expected = sorted({"bank-nodes-0", "bank-nodes-1", "bank-nodes-2", "bank-nodes-3"} - {victim})
        wait_until(lambda: f"the killed Pod is replaced: {sorted(self.pods())}", lambda: sorted(self.pods()) == expected)

    def test_pod_deleted(self):
        self.create()
        self.wait_ready(ready=3)
        victim = self.node_of("ledger")
        self.client.delete(f"{PODS}/{victim}")
        wait_until("it is replaced", lambda: victim not in self.pods() and "bank-nodes-3" in self.pods())
        self.wait_ready(ready=3)
        wait_until("the ledger is elsewhere", lambda: self.node_of("ledger") != victim)

    def test_machine_lost(self):
        self.create()
        self.wait_ready(ready=3)
        wait_until("all rows are running", self.running_rows)
        victim = self.node_of("ledger")
        machine = self.pods()[victim]["spec"]["nodeName"]
        before = self.epochs()
        self.kubelet.lose(machine)
        message = self.wait_condition("Degraded", "True", "NodeLost")["message"]
        self.assertIn("forget", message)
        time.sleep(2)  # longer than its lease
        self.assertEqual(self.epochs()["ledger"], before["ledger"])
        self.client.delete(f"/api/v1/nodes/{machine}")
        wait_until("the ledger is elsewhere", lambda: self.epochs()["ledger"] > before["ledger"] and self.running_rows())
        self.assertIn("Assertion", [row["rule"] for row in self.system()["status"]["recentExits"]])
        self.assertEqual(self.rows()["ledger"]["rule"], "Assertion")
        wait_until("its Pod is removed by force", lambda: victim not in self.pods())

    def test_forget(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        victim = self.node_of("ledger")
        self.kubelet.lose(self.pods()[victim]["spec"]["nodeName"])
        self.wait_condition("Degraded", "True", "NodeLost")
        self.annotate(BANK, forget=victim)
        self.wait_ready(ready=2)
        self.assertNotIn("histrio.dev/forget", self.system()["metadata"].get("annotations", {}))

    def test_image_cannot_be_pulled(self):
        self.create(image="example/missing:1", replicas=1)
        wait_until("the kubelet has told", lambda: any(
            "waiting" in row["state"] for pod in self.pods().values() for row in pod["status"].get("containerStatuses", [])))
        started = time.monotonic()
        wait_until("the cause is shown", lambda: "ImagePullBackOff" in condition(self.system(), "Ready").get("message", ""))
        self.assertLess(time.monotonic() - started, 5 * SLOW)
        self.change({"nodes": {"image": "example/bank:1"}})
        self.wait_ready(ready=1, updated=1)

    def test_pods_are_refused(self):
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        quotas = "/api/v1/namespaces/default/resourcequotas/none"
        self.client.create("/api/v1/namespaces/default/resourcequotas", quota)
        self.client.merge(f"{quotas}/status", {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}})
        self.addCleanup(lambda: self.client.find(quotas) and self.client.delete(quotas))
        self.create(replicas=1)
        wait_until("the refusal is shown", lambda: "quota" in condition(self.system(), "Ready").get("message", ""))
        self.client.delete(quotas)
        self.wait_ready(ready=1, seconds=60)
        self.assertEqual(list(self.pods()), ["bank-nodes-0"])


class Changes(Bank):
    machines = 2

    def test_scale(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        self.server.kubectl("scale", "actorsystem/bank", "--replicas=4")
        self.wait_ready(ready=4, desired=4)
        self.server.kubectl("scale", "actorsystem/bank", "--replicas=1")
        self.wait_ready(ready=1, desired=1)
        wait_until("one Pod is left", lambda: len(self.pods()) == 1)
        self.server.kubectl("scale", "actorsystem/bank", "--replicas=0")
        self.wait_condition("Ready", "False", "ScaledToZero")
        wait_until("no Pod is left", lambda: not self.pods())
        self.server.kubectl("scale", "actorsystem/bank", "--replicas=2")
        self.wait_ready(ready=2, desired=2)
        self.assertNotIn("bank-nodes-0", self.pods())

    def test_suspend(self):
        self.create(replicas=1)
        self.wait_ready(ready=1)
        self.change({"suspend": True})
        self.wait_condition("Ready", "False", "Suspended")
        wait_until("no Pod is left", lambda: not self.pods())
        self.change({"suspend": False})
        self.wait_ready(ready=1)

    def test_rollout_and_back(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        self.change({"nodes": {"image": "example/bank:2"}})
        self.wait_ready(ready=2, updated=2)
        wait_until("all Pods are new", lambda: {pod["spec"]["containers"][0]["image"] for pod in self.pods().values()} ==
                   {"example/bank:2"})
        before = set(self.pods())
        self.change({"nodes": {"image": "example/missing:3"}})
        wait_until("the cause is shown", lambda: "ImagePullBackOff" in condition(self.system(), "Reconciling").get("message", ""))
        self.assertEqual(condition(self.system(), "Ready")["status"], "True")
        self.assertLessEqual(before, set(self.pods()))
        self.change({"nodes": {"image": "example/bank:2"}})
        self.wait_ready(ready=2, updated=2)
        wait_until("the stuck Pod is gone", lambda: set(self.pods()) == before)

    def test_move_and_cordon_and_drain(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        source = self.node_of("ledger")
        target = next(name for name in self.pods() if name != source)
        self.annotate(BANK, move=f"ledger={target}")
        wait_until("the ledger moved", lambda: self.node_of("ledger") == target)
        wait_until("the annotation is gone", lambda: "histrio.dev/move" not in self.system()["metadata"].get("annotations", {}))
        self.annotate(f"{PODS}/{source}", cordon="true")
        wait_until("the fence record has it", lambda: self.client.get(f"{FENCES}/bank")["record"]["cordons"] == [source])
        self.annotate(f"{PODS}/{source}", cordon=None)
        wait_until("it is undone", lambda: self.client.get(f"{FENCES}/bank")["record"]["cordons"] == [])
        self.annotate(f"{PODS}/{target}", drain="true")
        wait_until("the Pod is replaced", lambda: target not in self.pods())
        self.wait_ready(ready=2)

    def test_quarantine_and_resume(self):
        self.create(replicas=1)
        self.wait_ready(ready=1)
        for deaths in range(2):
            with contextlib.suppress(ConnectionError):  # it may be dead before it has answered
                self.ask("vandal", "smash", {}, verb="tell")
            wait_until("its node dies", lambda: sum(row["rule"] == "Proof" for row in self.system()["status"]["recentExits"]) > deaths)
            if deaths == 0:
                self.wait_ready(ready=1)
        self.wait_condition("Stalled", "True", "UnitQuarantined", 40)
        self.annotate(BANK, resume="vandal")
        self.wait_ready(ready=1)

    def test_bad_spec_harms_nothing(self):
        self.create(replicas=1)
        self.wait_ready(ready=1)
        before = self.incarnations()
        # What CEL cannot see: a behavior of a library that is not there.
        self.change({"actors": [{"name": "ledger", "behavior": {"c": "nowhere.ledger"}}]})
        self.assertIn("nowhere", self.wait_condition("Stalled", "True", "InvalidSpec")["message"])
        time.sleep(1)
        self.assertEqual(self.incarnations(), before)
        self.change({"actors": MANIFEST["spec"]["actors"]})
        self.wait_ready(ready=1)
        self.assertEqual(self.incarnations(), before)

    def test_pod_template_that_is_refused(self):
        self.create(replicas=1, podTemplate={"spec": {"containers": [{"name": "node", "terminationMessagePolicy": "Nonsense"}]}})
        wait_until("the refusal is shown", lambda: "terminationMessagePolicy" in condition(self.system(), "Ready").get("message", ""))
        self.change({"nodes": {"podTemplate": None}})
        self.wait_ready(ready=1)

    def test_a_service_of_somebody_else(self):
        self.client.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "bank-histrio-tls"}})
        self.create(replicas=1)
        self.assertIn("bank-histrio-tls", self.wait_condition("Stalled", "True", "NotStarted")["message"])
        self.assertEqual(self.pods(), {})
        self.client.delete("/api/v1/namespaces/default/secrets/bank-histrio-tls")
        self.wait_ready(ready=1, seconds=60)


class Operators(Bank):
    machines = 2

    def answers(self):
        """All kinds: after a start the API server reads them one by one."""
        try:
            return all(self.client.get(path) for path in (PODS, SYSTEMS, PLACEMENTS, FENCES))
        except ApiError:
            return False

    def test_killed_and_started_again(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        pods = set(self.pods())
        self.ask("tellers.0/counter", "fail", None, verb="tell")
        wait_until("the restarts are shown", lambda: self.system()["status"]["restarts"] > 0)
        self.wait_ready(ready=2)
        self.wait_quiet()
        before, placements, status = self.incarnations(), self.placements(), self.system()["status"]
        rules = self.rules()
        term = self.client.get(f"{FENCES}/bank")["record"]["term"]
        self.operator.kill()
        writes = len(counted_writes(self.server))
        self.operator = self.enterContext(self.start_operator())
        wait_until("the term is raised", lambda: self.client.get(f"{FENCES}/bank")["record"]["term"] > term)
        self.wait_ready(ready=2)
        time.sleep(6)
        self.assertEqual(set(self.pods()), pods)
        self.assertEqual(self.incarnations(), before)
        self.assertEqual(self.system()["status"], status)
        self.assertEqual([row.split("?")[0] for row in counted_writes(self.server)[writes:]], [f"update {FENCES}/bank"])
        self.assertEqual(self.placements(), placements, "the placements were not written again")
        self.assertEqual(self.rules(), rules, "and still say what placed the units")
        self.assertIn("Initial", rules.values())
        self.assertNotIn('"level":"warning"', self.operator.log())  # no node refuses the new leader

    def test_ends_without_the_rest(self):
        """Whoever is asked to end does not begin with what waits in its queue, but lets the next one lead."""
        count, workers = 100, 4
        self.assertEqual(self.operator.stop(), 0)
        for number in range(count):
            self.client.create(SYSTEMS, {**MANIFEST, "metadata": {"name": f"many{number}"},
                                         "spec": {**MANIFEST["spec"], "nodes": {**MANIFEST["spec"]["nodes"], "replicas": 0}}})
        self.operator = self.enterContext(self.start_operator())
        wait_until("it begins", lambda: self.operator.lines("system taken over"))
        self.assertEqual(self.operator.stop(), 0)
        before, after = self.operator.log().split('"text":"stopping"')
        self.assertLess(before.count("system taken over") + workers, count, "it was too fast for this test")
        self.assertLessEqual(after.count("system taken over"), workers)
        for number in range(count):
            self.client.delete(f"{SYSTEMS}/many{number}")

    def test_api_server_away(self):
        self.create(replicas=2)
        self.wait_ready(ready=2)
        before, pods = self.incarnations(), set(self.pods())
        self.server.stop_server()
        time.sleep(8)
        self.server.start_server()
        wait_until("the API server answers", self.answers)
        time.sleep(3)
        self.assertEqual(self.incarnations(), before)
        self.assertEqual(set(self.pods()), pods)
        self.change({"nodes": {"replicas": 1}})
        self.wait_ready(ready=1, desired=1, seconds=60)
        self.assertIsNone(self.operator.process.poll())


class OneNamespace(Bank):
    machines = 1
    operator_arguments = Bank.operator_arguments + ("--namespace=default",)

    def test_others_are_left_alone(self):
        other = copy.deepcopy(MANIFEST)
        self.client.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
        self.client.create(SYSTEMS.replace("default", "other"), other)
        self.create(replicas=1)
        self.wait_ready(ready=1)
        self.assertEqual(self.client.items(PODS.replace("default", "other")), [])
        self.assertEqual(self.operator.metric('histrio_cached_objects{resource="actorsystems"}'), 1)
        self.assertNotIn("status", self.client.get(BANK.replace("default", "other")))
        # KubeNodes are nobody's in a namespace: the operator does without them.
        asked = {row["requestURI"].split("?")[0] for row in self.server.audit()
                 if row.get("userAgent", "").startswith("histrio-operator") and row["stage"] == "ResponseComplete"}
        self.assertEqual([path for path in asked if "/namespaces/default/" not in path], [])


if __name__ == "__main__":
    unittest.main()
