#!/usr/bin/env python3
"""ActorSystems that make no sense although the API server takes them, definitions that are missing or of another version, and Pods
that cannot run: the status says so, with the field or the cause, and nothing else is harmed."""

import copy
import json
import os
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from api_server import ApiServer  # noqa: E402
from bank_system import SPEC, BankSystem, PodCounter  # noqa: E402
from fake_kubelet import FakeKubelet  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from histrio_operator import BUILD, Operator, install_crds, wait_served, wait_until  # noqa: E402
from kube_client import ApiError  # noqa: E402

SHOWN_SECONDS = 5  # how soon a cause is in the status
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/actorsystems.histrio.dev"


def entry(name, **more):
    return {"name": name, "behavior": {"c": "bank.ledger"}, **more}


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


# What the API server takes and nobody can mean: name -> (fields of the spec, what the message names).
NONSENSE = {
    "unknown-library": ({"actors": [entry("ledger", behavior={"c": "nowhere.ledger"})]}, "spec.actors[0].behavior.c"),
    "no-library": ({"code": {"c": []}}, "spec.actors[0].behavior.c"),
    "library-elsewhere": ({"code": {"c": [{"library": "bank", "path": "../../etc/libbank.so"}]}}, "spec.code.c[0].path"),
    "library-of-the-root": ({"code": {"c": [{"library": "bank", "path": "/etc/libbank.so"}]}}, "spec.code.c[0].path"),
    "circle": ({"actors": [entry("a", placement={"colocateWith": "b"}), entry("b", placement={"colocateWith": "a"})]},
               "spec.actors[0].placement.colocateWith"),
    "apart-from-nobody": ({"actors": [entry("a", placement={"antiAffinity": ["nobody"]})]}, "placement.antiAffinity"),
    "with-and-apart": ({"actors": [entry("a"), entry("b", placement={"colocateWith": "a", "antiAffinity": ["a"]})]},
                       "spec.actors[1].placement.antiAffinity"),
    "deep-arguments": ({"actors": [entry("a", args={"deep": nested(200)})]}, "spec: cannot be read: line 1: nested"),
    "nul-in-a-key": ({"actors": [entry("a", args={"a\0b": 1})]}, "spec: cannot be read"),
    "text-as-arguments": ({"actors": [entry("a", args="text")]}, "spec.actors[0].args"),
    "pod-template-is-no-object": ({"nodes": {"image": "i", "podTemplate": {"spec": {"containers": "nonsense"}}}}, "podTemplate"),
    "pod-template-of-no-use": ({"nodes": {"image": "i", "podTemplate": {"spec": {"hostNetwork": "maybe"}}}}, "hostNetwork"),
    "pod-template-refused": ({"nodes": {"image": "i", "podTemplate": {
        "spec": {"containers": [{"name": "node", "terminationMessagePolicy": "Nonsense"}]}}}}, "terminationMessagePolicy"),
    "pod-labels-refused": ({"nodes": {"image": "i", "podTemplate": {"metadata": {"labels": {"not a label!": "x"}}}}}, "not a label!"),
    "resources-refused": ({"nodes": {"image": "i", "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}}, "memory"),
    "image-with-blanks": ({"nodes": {"image": " no image "}}, "image"),
    "9-starts-with-a-digit": ({}, "metadata.name"),
}


class TroubledKubelet(FakeKubelet):
    """As FakeKubelet, with images that have troubles."""
    CANNOT_START = {"example/no-config": ("CreateContainerConfigError", 'configmap "settings" not found'),
                    "example/bad-name": ("InvalidImageName", "couldn't parse image name"),
                    "example/cannot-run": ("CreateContainerError", "failed to create containerd container")}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.told = []  # states of containers, as they were reported

    def bind(self, pod):
        super().bind(pod)
        if not pod.is_bound and not pod.is_waiting:
            pod.is_waiting = True
            self.client.merge(f"{pod.path}/status", {"status": {"conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 node(s) were unschedulable."}]}})
        elif pod.is_bound:
            pod.is_waiting = False

    def start(self, pod, listed):
        image = listed["spec"]["containers"][0]["image"]
        trouble = self.CANNOT_START.get(image)
        if trouble:
            pod.is_waiting = True
            self.report(pod, "Pending", {"waiting": dict(zip(("reason", "message"), trouble))})
            return
        program = self.program
        try:
            if image == "example/ends-at-once":
                self.program = "/bin/false"
            super().start(pod, listed)
        finally:
            self.program = program

    def report(self, pod, phase, state, **more):
        if "terminated" in state and state["terminated"]["exitCode"] == 137:
            state["terminated"]["reason"] = "OOMKilled"
        super().report(pod, phase, state, **more)
        self.told.append(json.dumps(state))


class Bed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(ApiServer())
        cls.client = cls.server.client()
        install_crds(cls.server)
        cls.kubelet = cls.enterClassContext(
            TroubledKubelet(cls.server, 3, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
        cls.proxy = cls.enterClassContext(FaultProxy(cls.server))

    def setUp(self):
        self.systems = []
        self.told_before = len(self.kubelet.told)
        self.bank = self.system("bank")
        self.counter = PodCounter(self.bank)
        self.operator = self.start_operator()

    def tearDown(self):
        for name in self.kubelet.machines:
            self.client.merge(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": None}})
        for system in self.systems:
            system.delete()
        self.counter.stop()
        self.operator.kill()

    def start_operator(self):
        return self.enterContext(Operator(self.server.kubeconfig(url=self.proxy.url), "--identity=one"))

    def system(self, name):
        self.systems.append(BankSystem(self.server, name))
        return self.systems[-1]

    def writes(self):
        return [request for request in self.proxy.writes() if request.resource != "leases"]

    def check_quiet(self, seconds=5):
        """Nothing is written any more, once what was going on has been."""
        def pause():
            before = len(self.writes())
            time.sleep(2)
            return len(self.writes()) == before
        wait_until("the writes end", pause, 20)
        before = len(self.writes())
        time.sleep(seconds)
        self.assertEqual(self.writes()[before:], [])

    def wait_told(self, text):
        """Until the kubelet has reported it: the time that it takes is not the operator's."""
        wait_until(lambda: f"the kubelet tells {text!r}: {self.kubelet.told[self.told_before:]}",
                   lambda: any(text in state for state in self.kubelet.told[self.told_before:]), 30)

    def wait_shown(self, text, kinds=("Ready", "Degraded"), seconds=SHOWN_SECONDS):
        def shown():
            conditions = [self.bank.condition(kind) for kind in kinds]
            return any(text in row.get("message", "") and row["status"] != ("True" if row["type"] == "Ready" else "False")
                       for row in conditions)
        wait_until(lambda: f"{text!r} is in {kinds}: {json.dumps(self.bank.status())[:3000]}", shown, seconds)


class Nonsense(Bed):
    def make(self, name, fields):
        spec = copy.deepcopy(SPEC)
        spec.update({key: value for key, value in fields.items() if key != "nodes"})
        spec["nodes"].update(fields.get("nodes", {}), replicas=1)
        system = self.system(name)
        system.create(spec)
        return system

    def test_each_is_named(self):
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)
        before, runtime = self.bank.incarnations(), self.kubelet.runtime("bank-nodes-0")
        systems, refused = {}, []
        for name, (fields, _) in NONSENSE.items():
            try:
                systems[name] = self.make(name, fields)
            except ApiError as error:
                refused.append(f"{name}: {error}")
        problems = []
        for name, system in systems.items():
            named = NONSENSE[name][1]
            try:
                row = system.wait_condition("Stalled", "True", seconds=30)
                if named not in row["message"]:
                    problems.append(f"{name}: {named} is not named: {row}")
                if system.condition("Ready").get("status") == "True":
                    problems.append(f"{name}: Ready")
            except AssertionError as error:
                problems.append(f"{name}: {error}")
        self.assertEqual(problems, [], "\n".join(problems))
        self.assertEqual(refused, [], "the API server does not take these, so they prove nothing:\n" + "\n".join(refused))
        self.assertEqual(self.bank.incarnations(), before)
        self.assertEqual(self.kubelet.runtime("bank-nodes-0"), runtime)
        self.assertIsNone(self.operator.process.poll())

    def test_nonsense_writes_nothing_again(self):
        for name in ("unknown-library", "circle", "9-starts-with-a-digit"):
            self.make(name, NONSENSE[name][0]).wait_condition("Stalled", "True")
        time.sleep(2)  # what is coalesced
        self.check_quiet(10)

    def test_requests_that_make_no_sense(self):
        """Annotations: each is refused with an Event, and removed."""
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)
        before = self.bank.incarnations()
        verbs = {"resume": "nobody, ledger, ,,", "move": "ledger=nowhere, ledger, =, tellers.0=bank-nodes-77", "forget": "!!, bank-nodes-99"}
        self.client.merge(self.bank.path, {"metadata": {"annotations": {f"histrio.dev/{verb}": text for verb, text in verbs.items()}}})
        wait_until("they are removed", lambda: not set(self.bank.get()["metadata"].get("annotations", {})) &
                   {f"histrio.dev/{verb}" for verb in verbs})
        self.assertTrue(self.operator.lines("RequestRefused"))
        self.assertTrue(self.operator.lines("RequestInvalid"))
        time.sleep(2)
        self.assertEqual(self.bank.incarnations(), before)
        self.check_quiet()


class Definitions(unittest.TestCase):
    """What the cluster knows of ActorSystems is not what this operator was built with."""

    def setUp(self):
        self.server = self.enterContext(ApiServer())
        self.client = self.server.client()
        self.bank = BankSystem(self.server)

    def start(self):
        self.kubelet = self.enterContext(
            FakeKubelet(self.server, 2, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
        self.operator = self.enterContext(Operator(self.server.kubeconfig(), "--identity=one"))

    def test_none_at_first(self):
        self.operator = self.enterContext(Operator(self.server.kubeconfig(), "--identity=one"))
        wait_until("it says what is missing", lambda: any(
            line["resource"] == "actorsystems" for line in self.operator.lines("watch has a problem")))
        self.assertFalse(self.operator.is_ready())
        time.sleep(2)
        self.assertIsNone(self.operator.process.poll())
        install_crds(self.server)
        self.enterContext(
            FakeKubelet(self.server, 2, os.path.join(BUILD, "bin", "histrio-node"), os.path.join(BUILD, "examples")))
        wait_until("it is ready", self.operator.is_ready, 60)
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)

    def schema(self, definition):
        return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

    def change_definition(self, change, is_served):
        """The definition is replaced, and the API server serves the new one, as `is_served` sees by what it makes of a spec."""
        definition = self.client.get(DEFINITION)
        change(self.schema(definition))
        self.client.replace(DEFINITION, definition)
        manifest = {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "probe"},
                    "spec": {**SPEC, "wormhole": "deep"}}

        def serves():
            try:
                return is_served(self.client.create(f"{self.bank.systems}?dryRun=All", manifest)["spec"])
            except ApiError:
                return False  # it changes over
        wait_until("the new definition is served", serves, 60)
        wait_served(self.server)

    def test_older(self):
        """Without fields that are new: defaults hold, and the status is written."""
        install_crds(self.server)

        def remove(schema):
            del schema["spec"]["properties"]["failure"]
            for field in ("quarantined", "recentExits", "actors"):
                del schema["status"]["properties"][field]
        self.change_definition(remove, lambda spec: "failure" not in spec)
        self.start()
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)
        self.assertNotIn("failure", self.bank.get()["spec"])
        self.bank.scale(2)
        self.bank.wait_settled(2, self.operator)

    def test_newer(self):
        """With a field that this operator does not know: it does not act on half of what is asked for, and says so."""
        install_crds(self.server)
        self.change_definition(lambda schema: schema["spec"]["properties"].update(wormhole={"type": "string"}),
                               lambda spec: "wormhole" in spec)
        self.start()
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)
        before = self.bank.incarnations()
        self.bank.change(wormhole="deep", nodes={"replicas": 2})
        self.assertIn("spec.wormhole", self.bank.wait_condition("Stalled", "True", "InvalidSpec")["message"])
        time.sleep(2)
        self.assertEqual(self.bank.incarnations(), before)
        self.assertEqual(len(self.bank.pods()), 1)
        self.bank.change(wormhole=None)
        self.bank.wait_settled(2, self.operator)

    def test_removed_and_there_again(self):
        """All ActorSystems go with their definition; the operator lives on."""
        install_crds(self.server)
        self.start()
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator)
        self.kubelet.set_collecting(False)  # there is no list to look at
        self.client.delete(DEFINITION)
        wait_until("it says so", lambda: any(
            line["resource"] == "actorsystems" for line in self.operator.lines("watch has a problem")), 60)
        wait_until("the definition is gone", lambda: self.client.find(DEFINITION) is None, 60)  # what it defined goes first
        for name in self.bank.pods():
            self.client.delete(f"{self.bank.pods_path}/{name}")
        wait_until("the Pods are gone", lambda: not self.bank.pods())
        self.bank.collect()
        self.kubelet.set_collecting(True)
        install_crds(self.server)
        self.bank.create(replicas=1)
        self.bank.wait_settled(1, self.operator, 90)
        self.assertIsNone(self.operator.process.poll())


class Pods(Bed):
    """What keeps a Pod from running is in the status within seconds."""

    def test_cannot_start(self):
        for image, (reason, message) in TroubledKubelet.CANNOT_START.items():
            with self.subTest(image):
                self.bank.create(replicas=1, image=image)
                self.wait_told(reason)
                self.wait_shown(reason)
                self.wait_shown(message[:20])
                self.check_quiet()
                self.bank.delete()

    def test_unschedulable(self):
        for name in self.kubelet.machines:
            self.client.merge(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
        self.bank.create(replicas=2)
        wait_until("its Pods are there", lambda: len(self.bank.pods()) == 2)
        wait_until("the kubelet has told", lambda: all(pod["status"].get("conditions") for pod in self.bank.pods().values()), 30)
        self.wait_shown("Unschedulable")
        self.check_quiet()
        self.client.merge(f"/api/v1/nodes/{self.kubelet.machines[0]}", {"spec": {"unschedulable": None}})
        self.bank.wait_settled(2, self.operator)
        self.assertEqual(len(self.counter.made), 2)

    def test_crash_loop(self):
        """The node ends as soon as it begins: Pods follow each other ever more slowly, and the cause stays to be seen."""
        self.bank.create(replicas=1, image="example/ends-at-once")
        self.wait_told('"exitCode": 1')
        self.wait_shown("exit code 1", ("Stalled",))
        time.sleep(20)
        self.assertLessEqual(len(self.counter.made), 10, "a Pod each moment")
        self.wait_shown("exit code 1", ("Stalled",))
        self.bank.change(nodes={"image": "example/bank:1"})
        self.bank.wait_settled(1, self.operator, 60)

    def test_out_of_memory(self):
        self.bank.create(replicas=2)
        self.bank.wait_settled(2, self.operator)
        node = self.bank.incarnations()["ledger"][0]
        self.kubelet.kill(node)
        self.wait_told("OOMKilled")
        wait_until(lambda: f"OOMKilled is in the status: {json.dumps(self.bank.status())[:4000]}",
                   lambda: "OOMKilled" in json.dumps(self.bank.status()), SHOWN_SECONDS)
        wait_until("the Pod is replaced", lambda: node not in self.bank.pods())
        self.bank.wait_settled(2, self.operator)

    def test_quota(self):
        quotas = "/api/v1/namespaces/default/resourcequotas"
        self.client.create(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
        self.addCleanup(lambda: self.client.find(f"{quotas}/none") and self.client.delete(f"{quotas}/none"))
        self.client.merge(f"{quotas}/none/status", {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}})
        before = len(self.proxy.writes())
        self.bank.create(replicas=1)
        wait_until("a Pod is refused", lambda: any(
            request.resource == "pods" and request.status == 403 for request in self.proxy.writes()[before:]), 30)
        self.wait_shown("exceeded quota", ("Ready", "Stalled"), 10)
        time.sleep(5)
        tries = len([request for request in self.proxy.writes()[before:] if request.resource == "pods"])
        self.assertLess(tries, 12, "a try each moment")
        self.client.delete(f"{quotas}/none")
        self.bank.wait_settled(1, self.operator, 60)

    def test_namespace_that_ends(self):
        """Nothing can be made in it any more: that is said, and tried ever more slowly."""
        self.client.create("/api/v1/namespaces", {"metadata": {"name": "ending"}})
        system = BankSystem(self.server, "bank", "ending")
        self.systems.append(system)
        system.create(replicas=2)
        system.wait_settled(2, self.operator)
        node = system.incarnations()["ledger"][0]
        self.client.delete("/api/v1/namespaces/ending")  # its content goes by a controller that this API server has not
        before = len(self.proxy.writes())
        self.kubelet.kill(node)
        message = wait_until("the refusal is shown", lambda: next(
            (row["message"] for row in system.status()["conditions"] if "being terminated" in row["message"]), None), 20)
        self.assertIn("ending", message)
        time.sleep(5)
        tries = len([request for request in self.proxy.writes()[before:] if request.resource == "pods" and request.verb == "create"])
        self.assertLess(tries, 12, "a try each moment")
        self.assertIsNone(self.operator.process.poll())

    def test_pod_security(self):
        """The namespace enforces what the template breaks."""
        namespace = "/api/v1/namespaces/strict"
        self.client.create("/api/v1/namespaces", {"metadata": {"name": "strict", "labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}})
        system = BankSystem(self.server, "bank", "strict")
        self.systems.append(system)
        system.create(replicas=1)
        system.wait_settled(1, self.operator)
        system.change(nodes={"podTemplate": {"spec": {"hostNetwork": True}}})
        message = wait_until("the refusal is shown", lambda: next(
            (row["message"] for row in system.status()["conditions"] if "PodSecurity" in row["message"]), None))
        self.assertIn("hostNetwork", message)
        self.assertEqual(system.condition("Ready")["status"], "True")  # the old node goes on
        self.assertIsNotNone(self.client.find(namespace))


if __name__ == "__main__":
    unittest.main()
