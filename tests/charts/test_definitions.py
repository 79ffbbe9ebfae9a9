#!/usr/bin/env python3
"""The definitions and the chart's objects on a real API server: which manifests it takes, what it says to others, what it fills
in, and what kubectl shows."""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tests/support")]

from api_server import BIN, ApiServer  # noqa: E402
from histrio_operator import wait_served, wait_until  # noqa: E402
from kube_client import APPLY, MERGE_PATCH, ApiError  # noqa: E402

GROUP = "/apis/histrio.dev/v1alpha1/namespaces/default"
SYSTEMS = f"{GROUP}/actorsystems"
STRICT = "?fieldValidation=Strict"

LEDGER = {"name": "ledger", "behavior": {"c": "bank.ledger"}}


def system(spec=None, name="bank", **fields):
    """A good manifest with spec or some of its fields replaced; None removes one."""
    spec = spec or {"code": {"c": [{"library": "bank", "path": "libbank.so"}]}, "actors": [LEDGER]}
    spec = {key: value for key, value in {**spec, **fields}.items() if value is not None}
    return {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": name}, "spec": spec}


def entry(**fields):
    return system(actors=[{key: value for key, value in {**LEDGER, **fields}.items() if value is not None}])


def children(*rows):
    return entry(behavior=None, children=list(rows))


WORKER = {"name": "worker", "behavior": {"c": "bank.worker"}}
KEYED = {"name": "account", "keyed": {"shards": 8}, "behavior": {"c": "bank.account"}}

# What is wrong, and what the server must say: field and text.
BAD = [
    (system(name="a" * 41), "metadata.name: Too long: may not be more than 40"),
    (system(name="a.b"), "metadata.name in body should match"),
    (system(spec={"code": {}}), "spec.actors: Required value"),
    (system(unknown=1), 'unknown field "spec.unknown"'),
    (system(nodes={"replicas": -1}), "spec.nodes.replicas in body should be greater than or equal to 0"),
    (system(nodes={"replicas": 1001}), "spec.nodes.replicas in body should be less than or equal to 1000"),
    (system(nodes={"replicas": 1.5}), "spec.nodes.replicas in body must be of type integer"),
    (system(nodes={"image": ""}), "spec.nodes.image in body should be at least 1 chars long"),
    (system(nodes={"resources": {"requests": {"cpu": "much"}}}), "spec.nodes.resources.requests.cpu in body should match"),
    (system(nodes={"update": {"maxSurge": 0}}), "spec.nodes.update: Invalid value: maxSurge and maxUnavailable are both 0"),
    (system(nodes={"update": {"drainTimeout": "25h"}}), "spec.nodes.update.drainTimeout: Invalid value: must be from 0s to 24h"),
    (system(nodes={"update": {"drainTimeout": "1d"}}), "spec.nodes.update.drainTimeout in body should match"),
    (system(code={"c": [{"library": "a.b", "path": "x"}]}), "spec.code.c[0].library in body should match"),
    (system(code={"c": [{"library": "a"}]}), "spec.code.c[0].path: Required value"),
    (system(code={"c": [{"library": "a", "path": "x"}] * 2}), "spec.code.c[1]: Duplicate value"),
    (system(code={"python": {"workers": 0}}), "spec.code.python.workers in body should be greater than or equal to 1"),
    (system(code={"cWorkers": {"workers": 0}}), "spec.code.cWorkers.workers in body should be greater than or equal to 1"),
    (system(code={"cWorkers": {"handlerTimeout": "1ms"}}), "must be from 100ms to 1h"),
    (system(supervision={"intensity": {"period": "0s"}}), "spec.supervision.intensity.period: Invalid value: must be from 1ms to 24h"),
    (system(supervision={"backoff": {"initial": "10s", "max": "1s"}}), "spec.supervision.backoff.max: Invalid value: max is below initial"),
    (system(supervision={"backoff": {"initial": "2h"}}), "spec.supervision.backoff.initial: Invalid value: must be from 1ms to 1h"),
    (system(failure={"nodeLease": "500ms"}), "spec.failure.nodeLease: Invalid value: must be from 1s to 1m"),
    (system(failure={"suspendFor": "17s"}), "spec.failure.suspendFor: Invalid value: must be from 18s to 1h"),
    (system(failure={"policy": "Never"}), 'spec.failure.policy: Unsupported value: "Never"'),
    (system(state={"store": "SQLite"}), "spec.state.store: Invalid value: SQLite works with nodes.replicas 0 or 1 only"),
    (system(state={"store": "MySQL"}), 'spec.state.store: Unsupported value: "MySQL"'),
    (system(actors=[{"name": "a"}]), "spec.actors[0]: Invalid value: must have exactly one of behavior and children"),
    (system(actors=[LEDGER, LEDGER]), "spec.actors[1]: Duplicate value"),
    (system(actors=[{**LEDGER, "name": "Ledger"}]), "spec.actors[0].name in body should match"),
    (system(actors=[{**LEDGER, "name": f"e{n}"} for n in range(1001)]), "spec.actors: Too many"),
    (system(actors=[{**LEDGER, "name": f"e{n}", "replicas": 10000} for n in range(11)]),
     "spec.actors: Invalid value: makes more than 100000 units"),
    (entry(behavior={}), "behavior: Invalid value: must have exactly one of c"),
    (entry(behavior={"c": "bank.a", "python": "bank:A"}), "behavior: Invalid value: must have exactly one of c"),
    (entry(behavior={"c": "ledger"}), "behavior.c in body should match"),
    (entry(behavior={"python": "bank:A"}), "spec.code: Invalid value: a behavior in Python needs spec.code.python"),
    (entry(restart="Sometimes"), 'restart: Unsupported value: "Sometimes"'),
    (entry(shutdown="soon"), "shutdown in body should match"),
    (entry(shutdown="0s"), "shutdown: Invalid value: must be from 1ms to 24h, or Brutal, or Infinity"),
    (entry(replicas=10001), "replicas in body should be less than or equal to 10000"),
    (entry(children=[WORKER]), "spec.actors[0]: Invalid value: must have exactly one of behavior and children"),
    (entry(mailbox={"overflow": "Fail"}), "mailbox.overflow: Invalid value: has no effect without a capacity"),
    (entry(mailbox={"capacity": 1000001}), "mailbox.capacity in body should be less than or equal to 1000000"),
    (entry(supervisor={"strategy": "AllForOne"}), 'supervisor.strategy: Unsupported value: "AllForOne"'),
    (entry(keyed={}, replicas=2), "keyed: Invalid value: an entry is keyed, or has replicas or children"),
    (entry(keyed={"shards": 5000}), "keyed.shards in body should be less than or equal to 4096"),
    (entry(keyed={"passivateAfter": "10ms"}), "keyed.passivateAfter: Invalid value: must be at least 1s"),
    (entry(state={"durable": True}), "spec.state: Invalid value: a durable actor needs a store"),
    (entry(placement={"colocateWith": "ledger"}), "placement.colocateWith: Invalid value: an entry cannot be colocated with itself"),
    (entry(placement={"colocateWith": "other"}), "spec.actors: Invalid value: colocateWith names no entry"),
    (entry(placement={"antiAffinity": ["a", "a"]}), 'placement.antiAffinity[1]: Duplicate value: "a"'),
    (entry(placement={"pin": {"node": 3}}), "placement.pin.node in body must be of type string"),
    (children({"name": "a"}), "children[0]: Invalid value: must have exactly one of behavior and supervisor"),
    (children({**WORKER, "supervisor": {}}), "children[0]: Invalid value: must have exactly one of behavior and supervisor"),
    (children({"name": "s", "supervisor": {"backoff": {"initial": "31s"}}}), "backoff.max: Invalid value: max is below initial"),
    (entry(supervisor={"backoff": {"max": "25h"}}), "backoff.max: Invalid value: must be from 1ms to 24h"),
    (children({"name": "s", "supervisor": {}, "mailbox": {}}), "mailbox: Invalid value: is a supervisor: it has no mailbox"),
    (children(WORKER, WORKER), "children: Invalid value: two children have the same name"),
    (children({**WORKER, "under": "nobody"}), "children: Invalid value: under names no child that is a supervisor"),
    (children({**WORKER, "name": "a"}, {**WORKER, "under": "a"}), "children: Invalid value: under names no child that is a supervisor"),
    (children({**WORKER, "under": "s"}, {"name": "s", "supervisor": {}}), "children: Invalid value: a supervisor comes before what is under it"),
    (children({"name": "s", "supervisor": {}, "under": "s"}), "children: Invalid value: a supervisor comes before what is under it"),
    (children(*[{**WORKER, "name": f"c{n}"} for n in range(65)]), "children: Too many"),
    ({**system(code={"python": {}}), "spec": {"code": {"python": {}}, "actors": [
        {"name": "a", "behavior": {"python": "bank:A"}, "isolation": "Node"}]}}, "isolation: Invalid value: Node is for C behaviors"),
]

GOOD = [
    system(),
    system(actors=[]),
    system(nodes={"replicas": 0}, state={"store": "SQLite"}),
    system(nodes={"image": "i", "resources": {"requests": {"cpu": 1, "memory": "256Mi"}},
                  "podTemplate": {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "node", "env": []}]}}}),
    entry(args={"deep": {"list": [1, None, {"a": "b"}]}}),
    entry(args=[1, "two", {"three": 3}]),
    entry(shutdown="Infinity", isolation="Process", mailbox={"capacity": 5, "overflow": "DropOldest"}),
    system(actors=[LEDGER, {**LEDGER, "name": "b", "placement": {"colocateWith": "ledger", "antiAffinity": ["b"], "pin": {"index": "0"}}}]),
    system(actors=[KEYED], nodes={"replicas": 1}, state={"store": "SQLite"}),
    entry(supervisor={"backoff": {}}),
    children(WORKER, {"name": "s", "supervisor": {"strategy": "OneForAll", "backoff": {"initial": "5ms", "max": "1s"}}}, {**WORKER, "name": "below", "under": "s"},
             {"name": "t", "supervisor": {}, "under": "s"}, {**WORKER, "name": "last", "under": "t"}),
    # As many as there may be, and each rule within the server's budget for one object.
    system(actors=[{**LEDGER, "name": f"e{n}", "placement": {"colocateWith": f"e{n - 1}"} if n else {}} for n in range(1000)]),
    children(*[{"name": "s", "supervisor": {}}], *[{**WORKER, "name": f"c{n}", "under": "s"} for n in range(63)]),
]


def wait_established(server):
    """Until the API server serves what was defined a moment ago."""
    server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    wait_served(server)


class Definitions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ApiServer().start()
        cls.addClassCleanup(cls.server.stop)
        cls.client = cls.server.client()
        cls.server.kubectl("apply", "--server-side", "-f", os.path.join(TOP, "deploy/manifests/crds.yaml"))
        wait_established(cls.server)

    def create(self, manifest):
        made = self.client.create(SYSTEMS + STRICT, copy.deepcopy(manifest))
        self.addCleanup(self.client.request, "DELETE", f"{SYSTEMS}/{made['metadata']['name']}")
        return made

    def refused(self, call, *arguments, **options):
        with self.assertRaises(ApiError) as caught:
            call(*arguments, **options)
        return caught.exception.message

    def test_bad_manifests_are_refused_with_field_and_reason(self):
        for manifest, expected in BAD:
            message = self.refused(self.client.create, SYSTEMS + STRICT + "&dryRun=All", manifest)
            self.assertIn(expected, normal(message), json.dumps(manifest)[:300])

    def test_good_manifests_are_taken(self):
        for manifest in GOOD:
            self.client.create(SYSTEMS + STRICT + "&dryRun=All", manifest)
        for name in ("bank", "hello"):
            with open(os.path.join(TOP, f"examples/{name}/{name}.yaml")) as file:
                self.client.create(SYSTEMS + STRICT + "&dryRun=All", yaml.safe_load(file))

    def test_defaults(self):
        spec = self.create(entry(mailbox={"capacity": 7}, placement={}, supervisor={}, state={}))["spec"]
        self.assertEqual(spec["nodes"], {"replicas": 3, "update": {"maxSurge": 1, "maxUnavailable": 0, "drainTimeout": "60s"}})
        self.assertEqual(spec["supervision"], {"intensity": {"restarts": 5, "period": "10s"}, "backoff": {"initial": "100ms", "max": "30s"}})
        self.assertEqual(spec["failure"], {"nodeLease": "3s", "suspendFor": "60s", "policy": "KeepRunning"})
        self.assertEqual(spec["actors"], [{
            **LEDGER, "restart": "Permanent", "placement": {"spread": "KubeNode"}, "state": {"durable": False, "snapshotEvery": 100},
            "mailbox": {"capacity": 7, "overflow": "Wait", "onRestart": "Keep"},
            "supervisor": {"strategy": "OneForOne", "intensity": {"restarts": 3, "period": "5s"}}}])

    def test_what_the_server_filled_in_is_understood_as_before(self):
        """The plan of a dry run is the same for the manifest and for what the server made of it."""
        with open(os.path.join(TOP, "examples/bank/bank.yaml")) as file:
            manifest = yaml.safe_load(file)
        made = self.create(manifest)
        served = {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": {"name": "bank"}, "spec": made["spec"]}
        self.assertNotEqual(served["spec"], manifest["spec"])
        self.assertEqual(dry_run(served), dry_run(manifest))

    def test_free_form_fields_keep_everything(self):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"hostUsers": False, "containers": [{"name": "node", "env": [{"name": "A"}]}]}}
        made = self.create(entry(args={"deep": [{"a": {"b": 1.5}}]}))
        self.assertEqual(made["spec"]["actors"][0]["args"], {"deep": [{"a": {"b": 1.5}}]})
        patched = self.client.request("PATCH", f"{SYSTEMS}/bank{STRICT}", {"spec": {"nodes": {"podTemplate": template}}}, content_type=MERGE_PATCH)
        self.assertEqual(patched["spec"]["nodes"]["podTemplate"], template)

    def test_keyed_is_immutable(self):
        self.create(system(actors=[LEDGER, KEYED]))

        def change(*actors):
            return self.client.request("PATCH", f"{SYSTEMS}/bank", {"spec": {"actors": list(actors)}}, content_type=MERGE_PATCH)
        for wrong, expected in (
                ([LEDGER, {**KEYED, "keyed": {"shards": 16}}], "keyed.shards: Invalid value: is immutable"),
                ([LEDGER, {**KEYED, "keyed": None}], "keyed is immutable"),
                ([{**LEDGER, "keyed": {}}, KEYED], "keyed is immutable")):
            self.assertIn(expected, normal(self.refused(change, *wrong)))
        change(LEDGER, {**KEYED, "keyed": {"shards": 8, "passivateAfter": "1m"}})
        change(LEDGER)  # an entry may go, and come back as another
        change(LEDGER, {**KEYED, "keyed": {"shards": 16}})

    def test_scale(self):
        self.create(system())
        self.client.request("PATCH", f"{SYSTEMS}/bank/status", {"status": {"replicas": 3, "selector": "histrio.dev/system=bank"}},
                            content_type=MERGE_PATCH)
        self.server.kubectl("scale", "actorsystem/bank", "--replicas=5")
        scale = self.client.get(f"{SYSTEMS}/bank/scale")
        self.assertEqual((scale["spec"]["replicas"], scale["status"]), (5, {"replicas": 3, "selector": "histrio.dev/system=bank"}))
        self.assertIn("should be less than or equal to 1000",
                      self.refused(self.client.request, "PATCH", f"{SYSTEMS}/bank/scale", {"spec": {"replicas": 2000}}, content_type=MERGE_PATCH))

    def test_columns(self):
        made = self.create(system())
        self.assertNotIn("status", made)
        self.client.request("PATCH", f"{SYSTEMS}/bank/status", {"status": {
            "conditions": [{"type": "Ready", "status": "False", "reason": "UnitsNotRunning", "lastTransitionTime": "2026-11-23T12:00:00.123Z"}],
            "units": {"running": 5, "desired": 6, "text": "5/6"}, "nodes": {"ready": 3, "desired": 3, "text": "3/3"}, "restarts": 7,
            "reason": "UnitQuarantined", "message": "vandal crashed", "actors": 11, "term": 4}}, content_type=MERGE_PATCH)
        lines = self.server.kubectl("get", "asys").splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "READY", "UNITS", "NODES", "RESTARTS", "REASON", "AGE"])
        self.assertEqual(lines[1].split()[:-1], ["bank", "False", "5/6", "3/3", "7", "UnitQuarantined"])
        wide = self.server.kubectl("get", "actorsystems", "-o", "wide").splitlines()
        self.assertEqual(wide[0].split()[-3:], ["ACTORS", "TERM", "MESSAGE"])
        self.assertIn("vandal crashed", wide[1])
        self.assertIn("actorsystem.histrio.dev/bank", self.server.kubectl("get", "histrio", "-o", "name"))

    def test_explain_is_the_manual(self):
        def explain(path):
            return " ".join(self.server.kubectl("explain", path).split())
        self.assertIn("How long units may take to stop when a node goes", explain("actorsystem.spec.nodes.update.drainTimeout"))
        text = self.server.kubectl("explain", "asys.spec.actors.children")
        for field in ("under", "behavior", "supervisor", "mailbox"):
            self.assertIn(f"  {field}\t", text)
        self.assertIn("at most 200 in one object", explain("aplace"))
        self.assertIn("Never edit it", explain("afence"))

    def test_a_spec_survives_server_side_apply_by_two(self):
        """Entries are merged by name: whoever owns one does not lose the others."""
        self.create(system(actors=[LEDGER]))
        other = {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bank"},
                 "spec": {"actors": [{**WORKER, "replicas": 2}]}}
        merged = self.client.request("PATCH", f"{SYSTEMS}/bank?fieldManager=other", other, content_type=APPLY)
        self.assertEqual([actor["name"] for actor in merged["spec"]["actors"]], ["ledger", "worker"])

    def test_a_newer_operator_can_write_what_this_schema_does_not_know(self):
        """Apply refuses undeclared fields, so that one new field would cost the whole status."""
        self.create(system())
        status = {"newer": 1, "term": 4, "nodeStatuses": [{"node": "a", "newer": 2}], "units": {"text": "1/1", "newer": 3},
                  "recentExits": [{"actor": "a", "newer": 4}], "quarantined": [{"unit": "a", "newer": 5}]}
        body = {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "bank"}, "status": status}
        applied = self.client.request("PATCH", f"{SYSTEMS}/bank/status?fieldManager=operator", body, content_type=APPLY)
        self.assertEqual(applied["status"], status)
        row = {"path": "a", "unit": "a", "newer": 1}
        body = {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorPlacement", "metadata": {"name": "bank-0"}, "system": "bank", "newer": 1,
                "count": 1, "actors": [row]}
        applied = self.client.request("PATCH", f"{GROUP}/actorplacements/bank-0?fieldManager=operator", body, content_type=APPLY)
        self.addCleanup(self.client.request, "DELETE", f"{GROUP}/actorplacements/bank-0")
        self.assertEqual((applied["newer"], applied["actors"]), (1, [row]))

    def test_the_term_of_a_fence_never_goes_down(self):
        fences = f"{GROUP}/actorfences"
        record = {"format": 1, "system": "bank", "systemUid": "u", "term": 7, "leaseMs": 3000,
                  "roster": {"version": 1, "members": [{"uid": "00c0ffee00c0ffee", "newer": 2}]},
                  "previousRoster": {"version": 0, "members": []}, "committed": True, "dead": [], "nextSerial": 4, "cordons": [],
                  "quarantines": [], "newer": {"kept": 1}}
        made = self.client.create(fences, {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorFence", "metadata": {"name": "bank"}, "record": record})
        self.addCleanup(self.client.request, "DELETE", f"{fences}/bank")
        self.assertEqual(made["record"], record)  # what an older schema does not know stays

        def change(**fields):
            return self.client.request("PATCH", f"{fences}/bank", {"record": fields}, content_type=MERGE_PATCH)
        self.assertIn("the term never goes down", self.refused(change, term=6))
        self.assertIn("no serial number is used twice", self.refused(change, nextSerial=3))
        self.assertEqual(change(term=8, nextSerial=5)["record"]["term"], 8)

    def test_a_placement_is_shown_and_bounded(self):
        placements = f"{GROUP}/actorplacements"
        row = {"path": "ledger", "unit": "ledger", "node": "bank-nodes-0", "kubeNode": "m", "state": "Running", "epoch": "1.7", "incarnation": 1,
               "lastExitAt": "1970-01-01T00:00:01.000Z"}
        body = {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorPlacement", "metadata": {"name": "bank-0"}, "system": "bank", "count": 1, "actors": [row]}
        self.assertEqual(self.client.create(placements + STRICT, body)["actors"], [row])
        self.addCleanup(self.client.request, "DELETE", f"{placements}/bank-0")
        self.assertEqual(self.server.kubectl("get", "aplace").splitlines()[1].split()[:3], ["bank-0", "bank", "1"])
        body = {**body, "metadata": {"name": "bank-1"}, "actors": [row] * 201}
        self.assertIn("Too many", self.refused(self.client.create, placements, body))


class Chart(unittest.TestCase):
    """Its objects as Helm makes them, on a server that enforces restricted Pod Security."""

    @classmethod
    def setUpClass(cls):
        cls.server = ApiServer().start()
        cls.addClassCleanup(cls.server.stop)
        cls.client = cls.server.client()
        cls.client.create("/api/v1/namespaces", {"metadata": {"name": "ops", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})

    def helm(self, *arguments):
        result = subprocess.run([os.path.join(BIN, "helm"), "--kubeconfig", self.server.kubeconfig(), "--namespace", "ops", *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def may(self, verb, resource, namespace="default", name="", group=""):
        resource, _, subresource = resource.partition("/")
        review = self.client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
            "user": "system:serviceaccount:ops:histrio",
            "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace, "name": name}}})
        return review["status"]["allowed"]

    def wait_may(self, allowed, verb, resource, **options):
        """The API server learns of roles and bindings a moment after they are written."""
        wait_until(f"{verb} {resource} {options}: {allowed}", lambda: self.may(verb, resource, **options) == allowed, 30)

    def test_install_upgrade_uninstall(self):
        chart = os.path.join(TOP, "charts/histrio")
        notes = self.helm("install", "histrio", chart)
        self.assertIn("kubectl --namespace ops rollout status deployment/histrio", notes)
        wait_established(self.server)
        self.client.create(SYSTEMS, system())
        deployment = self.client.get("/apis/apps/v1/namespaces/ops/deployments/histrio")
        template = deployment["spec"]["template"]
        # Refused here if it were not restricted.
        self.client.create("/api/v1/namespaces/ops/pods?dryRun=All", {
            "metadata": {"name": "operator", "labels": template["metadata"]["labels"]}, "spec": template["spec"]})

        self.wait_may(True, "list", "nodes", namespace="")
        self.wait_may(True, "patch", "actorsystems/status", group="histrio.dev")
        self.wait_may(True, "update", "actorfences", group="histrio.dev")
        self.assertFalse(self.may("patch", "actorfences", group="histrio.dev"))  # only by PUT
        self.assertTrue(self.may("get", "secrets"))
        self.assertFalse(self.may("list", "secrets"))
        self.assertFalse(self.may("patch", "pods"))
        self.wait_may(True, "update", "leases", namespace="ops", group="coordination.k8s.io")
        self.assertFalse(self.may("update", "leases", group="coordination.k8s.io"))

        self.helm("upgrade", "histrio", chart, "--set", "watchNamespace=default")
        self.wait_may(False, "list", "nodes", namespace="")
        self.wait_may(True, "create", "pods")
        self.assertFalse(self.may("create", "pods", namespace="kube-system"))

        self.helm("uninstall", "histrio")
        self.wait_may(False, "create", "pods")
        self.assertEqual([item["metadata"]["name"] for item in self.client.items(SYSTEMS)], ["bank"])  # definitions are kept
        self.helm("install", "histrio", chart)  # and adopted again
        self.helm("uninstall", "histrio")

    def takes(self, manifest):
        try:
            return self.client.create(SYSTEMS + STRICT, manifest)
        except ApiError as error:
            if error.code == 400:  # an API server takes a moment to serve a changed definition
                return None
            raise

    def test_an_upgrade_brings_new_definitions(self):
        """A field that a new version adds can be used right after helm upgrade, and what was there stays."""
        self.helm("install", "histrio", os.path.join(TOP, "charts/histrio"))
        self.addCleanup(self.helm, "uninstall", "histrio")
        wait_established(self.server)
        self.client.create(SYSTEMS, system(name="older"))
        self.addCleanup(self.client.request, "DELETE", f"{SYSTEMS}/older")
        newer = system(name="newer", color="blue")
        with self.assertRaises(ApiError) as caught:
            self.client.create(SYSTEMS + STRICT, newer)
        self.assertIn('unknown field "spec.color"', caught.exception.message)
        with tempfile.TemporaryDirectory() as folder:
            chart = os.path.join(folder, "histrio")
            shutil.copytree(os.path.join(TOP, "charts/histrio"), chart)  # follows the link to the definitions
            path = os.path.join(chart, "templates/crds/actorsystems.yaml")
            with open(path) as file:
                text = file.read()
            field = "                suspend:\n"
            self.assertEqual(text.count(field), 1)
            with open(path, "w") as file:
                file.write(text.replace(field, "                color: {type: string, maxLength: 9}\n" + field))
            self.helm("upgrade", "histrio", chart)
        self.server.wait_for("the new field is served", lambda: self.takes(newer))
        self.addCleanup(self.client.request, "DELETE", f"{SYSTEMS}/newer")
        self.assertEqual(self.client.get(f"{SYSTEMS}/older")["spec"]["actors"][0]["name"], "ledger")

    def test_the_test_objects_are_taken(self):
        rendered = self.helm("template", "histrio", os.path.join(TOP, "charts/histrio"), "--kube-version", "1.34.0", "--set", "crds.enabled=false")
        crds = os.path.join(TOP, "deploy/manifests/crds.yaml")
        self.server.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
        wait_established(self.server)
        for document in yaml.safe_load_all(rendered):
            if document and document["kind"] in ("Pod", "ActorSystem"):
                self.server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump(document))


def normal(message):
    """Without the value that the server repeats: `Invalid value: "object": text` and `Invalid value: text` alike."""
    parts = message.split("Invalid value: ")
    return "Invalid value: ".join([parts[0]] + [part.split(": ", 1)[1] if part[:1] in '"0123456789-' and ": " in part else part for part in parts[1:]])


def dry_run(manifest):
    program = os.path.join(os.environ.get("HISTRIO_TEST_BUILD", os.path.join(TOP, "build/dev")), "bin/histrio")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bank.json")
        with open(path, "w") as file:
            json.dump(manifest, file)
        environment = dict(os.environ, HISTRIO_LIBRARY_PATH=os.path.join(os.path.dirname(os.path.dirname(program)), "examples"))
        result = subprocess.run([program, "run", "--dry-run", "-o", "json", path], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
