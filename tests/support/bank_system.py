"""The example bank as an ActorSystem on an API server with a FakeKubelet: what is done to it, and what is so."""

import copy
import json
import threading
import time
import urllib.request

from histrio_operator import condition, wait_until
from kube_client import ApiError

API = "/apis/histrio.dev/v1alpha1"
ACTORS = 14  # ledger, vandal, and four tellers with three each
SPEC = {
    "nodes": {"replicas": 2, "image": "example/bank:1", "update": {"maxSurge": 1, "maxUnavailable": 0, "drainTimeout": "2s"}},
    "code": {"c": [{"library": "bank", "path": "libbank.so"}]},
    "failure": {"nodeLease": "1s"},
    "actors": [
        {"name": "ledger", "behavior": {"c": "bank.ledger"}, "args": {"currency": "EUR"}},
        {"name": "tellers", "replicas": 4, "supervisor": {"strategy": "RestForOne"}, "children": [
            {"name": "counter", "behavior": {"c": "bank.counter"}},
            {"name": "printer", "behavior": {"c": "bank.printer"}}]},
        {"name": "vandal", "behavior": {"c": "bank.vandal"}}]}


class BankSystem:
    """One ActorSystem of that name. Threads: one at a time."""

    def __init__(self, server, name="bank", namespace="default"):
        self.client = server.client()
        self.name = name
        self.namespace = namespace
        systems = f"{API}/namespaces/{namespace}/actorsystems"
        self.systems, self.path = systems, f"{systems}/{name}"
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.selector = f"labelSelector=histrio.dev%2Fsystem%3D{name}"

    # ---- what is so ----

    def get(self):
        return self.client.get(self.path)

    def status(self):
        return self.get().get("status", {})

    def condition(self, kind):
        return condition(self.get(), kind)

    def list(self, path):
        return self.client.items(f"{path}?{self.selector}")

    def pods(self):
        return {pod["metadata"]["name"]: pod for pod in self.list(self.pods_path)}

    def rows(self):
        """Where each actor is: path -> row of the ActorPlacements."""
        placements = self.list(f"{API}/namespaces/{self.namespace}/actorplacements")
        return {row["path"]: row for item in placements for row in item["actors"]}

    def incarnations(self):
        return {path: (row.get("node"), row.get("epoch"), row.get("incarnation")) for path, row in self.rows().items()}

    def hosted(self):
        """What the nodes themselves say, in the form of incarnations()."""
        hosted = {}
        for name, pod in self.pods().items():
            address = pod.get("status", {}).get("podIP")
            if not address:
                continue  # it came just now, and hosts nothing
            with urllib.request.urlopen(f"http://{address}:7072/v1/actors", timeout=5) as answer:
                hosted.update({row["actor"]: (name, row["epoch"], row["incarnation"]) for row in json.load(answer)["items"]})
        return hosted

    def is_told(self):
        """The placements are not behind: they are written at most once a second, and later on a machine that is busy."""
        try:
            return self.hosted() == self.incarnations()
        except (OSError, ValueError):
            return False  # a node that is coming or going

    def fence(self):
        found = self.client.find(f"{API}/namespaces/{self.namespace}/actorfences/{self.name}")
        return found["record"] if found else {"term": None}

    def owned(self):
        """Everything but Pods that belongs to it: path -> object."""
        inside = f"/namespaces/{self.namespace}/"
        paths = [f"/api/v1{inside}services", f"/api/v1{inside}secrets", f"/apis/policy/v1{inside}poddisruptionbudgets",
                 f"{API}{inside}actorfences", f"{API}{inside}actorplacements"]
        return {f'{path}/{item["metadata"]["name"]}': item for path in paths for item in self.list(path)}

    def is_settled(self, nodes, operator=None):
        """Ready for the present generation on so many nodes, nothing under way, and the placements say the same. `operator`, which
        has no other system, says so too: a new leader does not write again what an earlier one wrote."""
        system, pods, rows = self.get(), self.pods(), self.rows()
        status = system.get("status", {})
        return (status.get("observedGeneration") == system["metadata"]["generation"]
                and (not operator or operator.metric('histrio_systems{state="ready"}') == 1)
                and [condition(system, kind).get("status") for kind in ("Ready", "Reconciling", "Stalled", "Degraded")]
                == ["True", "False", "False", "False"]
                and status["nodes"]["ready"] == status["nodes"]["updated"] == status["nodes"]["desired"] == nodes
                and len(pods) == nodes and not any("deletionTimestamp" in pod["metadata"] for pod in pods.values())
                and len(rows) == ACTORS
                and all(row["state"] == "Running" and row["incarnation"] and row["node"] in pods for row in rows.values())
                and self.is_told())

    def wait_settled(self, nodes, operator=None, seconds=40):
        def told():
            log = operator.log()[-3000:] if operator else ""
            return f"{self.name} is settled on {nodes} nodes: {json.dumps(self.status())[:3000]}\n{sorted(self.pods())}\n{log}"
        wait_until(told, lambda: self.is_settled(nodes), seconds)

    def wait_condition(self, kind, status, reason=None, seconds=20):
        def holds():
            row = self.condition(kind)
            return row.get("status") == status and reason in (None, row.get("reason")) and row
        return wait_until(lambda: f"{kind}={status} {reason}: {json.dumps(self.status())[:3000]}", holds, seconds)

    # ---- what is done ----

    def create(self, spec=None, **nodes):
        spec = copy.deepcopy(spec or SPEC)
        spec["nodes"].update(nodes)
        return self.client.create(self.systems, {"apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem",
                                                 "metadata": {"name": self.name}, "spec": spec})

    def change(self, **spec):
        self.client.merge(self.path, {"spec": spec})

    def scale(self, replicas):
        self.change(nodes={"replicas": replicas})

    def delete(self):
        """With what the garbage collector would do; Pods are the FakeKubelet's."""
        if self.client.find(self.path):
            self.client.delete(self.path)
        wait_until(lambda: f"the Pods of {self.name} are gone: {sorted(self.pods())}", lambda: not self.pods(), 30)
        self.collect()

    def collect(self):
        for path in self.owned():
            try:
                self.client.delete(path)
            except ApiError as error:
                if error.code != 404:
                    raise


class PodCounter:
    """Notes each Pod of a system that was ever made, also one that is gone again."""

    def __init__(self, system):
        self.made = {}  # uid -> name
        self.stopping = False
        self.system = system
        self.thread = threading.Thread(target=self.run, name="pod-counter", daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                for event in self.system.client.watch(f"{self.system.pods_path}?{self.system.selector}&timeoutSeconds=600", 620):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self.made[event["object"]["metadata"]["uid"]] = event["object"]["metadata"]["name"]
                    if self.stopping:
                        return
            except (ApiError, OSError, ValueError):
                time.sleep(0.1)  # the API server is away

    def stop(self):
        self.stopping = True
