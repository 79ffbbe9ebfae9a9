#!/usr/bin/env python3
"""The life of the example bank on a cluster, from helm install to helm uninstall: one story, step by step."""

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attack import (POD as ATTACKER, apply_small, attack, delete_small, make_attacker, running_small_rows, small_rows,  # noqa: E402
                    wait_small)
from harness import (ON_BED, RELEASE_NAMESPACE, ROOT, CommandError, Story, audit_size, bed, condition, get, helm, histrio, http_from,  # noqa: E402
                     image, install, items, kubectl, make_namespace, make_pod, refused_requests, term_of, wait_until)

NAMESPACE = "bank"
OTHER_NAMESPACE = "bank-other"
NODES = "histrio.dev/system=bank"
API_AWAY_SECONDS = 120
GATEWAY_REFUSES = [("GET", "/v1/ask/ledger/balance", 405), ("POST", "/v1/ask/nobody/balance", 404), ("GET", "/v1/resume/vandal", 404),
                   ("POST", "/v1/resume/vandal", 405), ("POST", "/metrics", 405), ("POST", "/histrio.v1.Control/Session", 405)]


def epoch(text):
    return tuple(int(part) for part in text.split("."))


def manifest():
    """examples/bank with the image of this test, as a user edits it in."""
    with open(os.path.join(ROOT, "examples/bank/bank.yaml")) as file:
        text = file.read()
    edited = text.replace("  nodes:\n", f"  nodes:\n    image: {image('bank')}\n", 1)
    assert edited != text
    return edited


def system():
    return get("actorsystem", "bank", NAMESPACE)


def is_observed():
    thing = system()
    return thing.get("status", {}).get("observedGeneration") == thing["metadata"]["generation"]


def is_ready():
    return is_observed() and condition(system(), "Ready")["status"] == "True"


def clean():
    """What an earlier story left when it failed."""
    helm("uninstall", "histrio", "-n", RELEASE_NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("delete", "namespace", NAMESPACE, OTHER_NAMESPACE, RELEASE_NAMESPACE, "--ignore-not-found", "--timeout=90s")
    names = [name for name in kubectl("get", "crd", "-o", "name").split() if name.endswith(".histrio.dev")]
    if names:
        kubectl("delete", *names, "--timeout=60s")


def wait_ready(seconds=120):
    wait_until("the system is ready", is_ready, seconds)


def rows():
    """The placement: actors by path."""
    return {row["path"]: row for table in items("actorplacements", NAMESPACE, "-l", NODES) for row in table.get("actors", [])}


def pods():
    """The nodes' pods that are not on their way out, by name."""
    return {pod["metadata"]["name"]: pod for pod in items("pods", NAMESPACE, "-l", NODES)
            if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") in ("Pending", "Running")}


def ask(actor, method, *arguments):
    return histrio("ask", f"bank/{actor}", method, *arguments, namespace=NAMESPACE).json


def settled_rows():
    """The placement, once it shows all units, on the nodes that there are: it is written after the status, at most once a second, and has
    nothing of a unit that is on its way from one node to another."""
    def told():
        now, names, status = rows(), set(pods()), system()["status"]
        is_whole = len(now) == status["actors"] and len({row["unit"] for row in now.values()}) == status["units"]["desired"]
        return is_whole and all(row["state"] == "Running" and row["node"] in names for row in now.values()) and now
    return wait_until("the placement is that of a system that is ready", told)


def incarnations():
    """Of every actor of a settled system: where it is, and which start of it that is."""
    return {path: (row["node"], row["epoch"], row.get("incarnation")) for path, row in settled_rows().items()}


def rules_told():
    """What placed each unit, by the table that users look at."""
    lines = [line.split() for line in histrio("get", "units", "bank", namespace=NAMESPACE).splitlines()]
    assert lines[0] == ["UNIT", "NODE", "STATE", "EPOCH", "RESTARTS", "RULE"], lines[0]
    return {line[0].removeprefix("bank/"): line[5] for line in lines[1:]}


class Load:
    """Deposits all the time; those that fail are counted, for some must while a node is away."""

    def __enter__(self):
        self.answered = self.failed = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.deposit)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def deposit(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            try:
                ask(f"tellers.{number % 4}/counter", "deposit", '{"amount": 1}')
                self.answered += 1
            except CommandError:
                self.failed += 1


class Bank(Story):
    namespaces = (NAMESPACE,)
    old_events = frozenset()

    def test_story(self):
        begin = audit_size() if ON_BED else 0
        self.starts = []  # of the API server, to its readiness
        self.step("helm install", self.install)
        self.step("helm test", self.helm_test)
        self.step("kubectl apply, wait for Ready", self.apply)
        self.step("kubectl get shows the columns", self.columns)
        self.step("ask with kubectl histrio", self.ask_by_cli)
        self.step("ask through the Service from another pod", self.ask_by_service)
        self.step("actors are spread over machines, and ask each other", self.spread)
        self.step("another pod attacks", self.attack)
        self.step("kubectl delete pod under load", self.delete_pod)
        self.step("a runtime process crashes under load", self.crash)
        if ON_BED:
            self.step("a machine loses power; its Node object is deleted", self.lose_machine)
        self.step("kubectl scale: up, down, to 0 and back", self.scale)
        self.step("kubectl drain of a machine", self.drain)
        self.step("a change of the image rolls node by node", self.roll)
        self.step("the operator is killed", self.kill_operator)
        if ON_BED:
            self.step(f"the API server is away for {API_AWAY_SECONDS} s", self.stop_api_server)
        self.step("helm upgrade", self.upgrade)
        self.step("deletion and helm uninstall leave nothing", self.uninstall)
        if ON_BED:
            refused, too_late = refused_requests(begin, self.starts)
            self.assertEqual(refused, [], "for want of rights:\n" + "\n".join(refused))
            print("\n".join(too_late))
            self.assertLess(len(too_late), 20, "in a namespace that ends hardly anything is tried")

    # ---- steps ----

    def install(self):
        clean()
        install()
        replicas = items("pods", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/name=histrio-operator")
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in replicas}), 2, "two replicas on two machines")

    def helm_test(self):
        answer = helm("test", "histrio", "-n", RELEASE_NAMESPACE, "--timeout", "3m")
        self.assertRegex(answer, r"Phase: +Succeeded")
        wait_until("the tested system is gone", lambda: not items("pods", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/name=histrio-node"), 60)

    def apply(self):
        make_namespace(NAMESPACE)
        kubectl("apply", "-n", NAMESPACE, "-f", "-", text=manifest())
        kubectl("wait", "--for=condition=Ready", "actorsystem/bank", "-n", NAMESPACE, "--timeout=120s")

    def columns(self):
        head, line = kubectl("get", "actorsystems", "-n", NAMESPACE).splitlines()
        self.assertRegex(head, r"^NAME +READY +UNITS +NODES +RESTARTS +REASON +AGE$")
        self.assertRegex(line, r"^bank +True +6/6 +3/3 +0 +\d+s$")
        self.assertRegex(kubectl("get", "asys", "-n", NAMESPACE, "-o", "name"), "actorsystem.histrio.dev/bank")

    def ask_by_cli(self):
        self.assertEqual(ask("tellers.0/counter", "deposit", '{"amount": 5}'), 5)
        self.assertEqual(ask("tellers.0/counter", "deposit", "[7]"), 12)
        pattern = r"(?m)^bank/tellers\.0/counter +bank-nodes-\d+ +Running"
        wait_until("the actor is in the table", lambda: re.search(pattern, histrio("get", "actors", "bank", namespace=NAMESPACE)))

    def ask_by_service(self):
        make_pod("client", NAMESPACE)
        status, answer = http_from("client", NAMESPACE, "bank", "POST", "/v1/ask/ledger/balance")
        kubectl("delete", "pod", "client", "-n", NAMESPACE)
        self.assertEqual((status, answer.json["currency"]), (200, "EUR"))

    def spread(self):
        placed = settled_rows()
        # When a node came so late that the others began without it, any units were moved to it.
        is_late = any(row["rule"] == "Balance" for row in placed.values())
        self.assertEqual(len({row["kubeNode"] for path, row in placed.items() if is_late or path.endswith("/counter")}), 3)
        far = next(path for path, row in placed.items() if path.endswith("/counter") and row["node"] != placed["ledger"]["node"])
        before = ask("ledger", "balance")["entries"]
        ask(far, "deposit", "[1]")
        wait_until("the ledger has the entry of a teller elsewhere", lambda: ask("ledger", "balance")["entries"] == before + 1)

    def attack(self):
        """From another pod of the namespace, with ever more keys (attacker.c). The bank does not notice; the small system, whose own
        keys command it for a moment, is back at once as it was."""
        apply_small(NAMESPACE)
        before, small_before = incarnations(), wait_until("the small system's placement is told", lambda: running_small_rows(NAMESPACE))
        make_attacker(NAMESPACE, "bank", "small")
        print(attack(NAMESPACE, "bank"))
        for method, path, expected in GATEWAY_REFUSES:
            self.assertEqual(http_from(ATTACKER, NAMESPACE, "bank", method, path)[0], expected, f"{method} {path}")
        log = "".join(kubectl("logs", pod, "-n", NAMESPACE) for pod in pods())
        for text in ("TLS handshake failed", "control session refused", "strange term"):
            self.assertIn(text, log)
        wait_small(NAMESPACE)
        wait_until(lambda: f"the small system is as it was, {small_before}: {small_rows(NAMESPACE)}",
                   lambda: small_rows(NAMESPACE) == small_before)
        self.unchanged(before)
        restarts = {name: pod["status"]["containerStatuses"][0]["restartCount"] for name, pod in pods().items()}
        self.assertEqual(set(restarts.values()), {0}, restarts)
        kubectl("exec", next(iter(pods())), "-n", NAMESPACE, "--", "test", "!", "-e", "/var/run/secrets/kubernetes.io")
        kubectl("delete", "pod", ATTACKER, "-n", NAMESPACE)
        delete_small(NAMESPACE)

    def replaced(self, before, rules):
        """Every unit of `before` runs again with a higher epoch, and placements, Events and status tell by which rule."""
        placed_by = {}  # what placed a unit first; afterwards it may have moved for balance

        def is_replaced():
            now = rows()
            for unit in {row["unit"] for row in before.values()}:
                if epoch(now.get(unit, {}).get("epoch", "0.0")) > epoch(before[unit]["epoch"]):
                    placed_by.setdefault(unit, now[unit]["rule"])
            return all(now.get(path, {}).get("state") == "Running" and epoch(now[path]["epoch"]) > epoch(row["epoch"])
                       for path, row in before.items())

        wait_until("what was on the node runs elsewhere", is_replaced, 60)
        self.assertLessEqual(set(placed_by.values()), set(rules), placed_by)
        wait_ready()
        wait_until("get units tells the same", lambda: rules_told() == {row["unit"]: row["rule"] for row in rows().values()})
        wait_until(lambda: f"Events tell {rules} of {set(placed_by)}: {self.new_events()}", lambda: self.events_tell(before, rules), 20)
        if "Move" not in rules:
            self.assertIn(rules[0], [row.get("rule") for row in system()["status"]["recentExits"]])

    def on(self, column, name):
        """The rows of what is on a node or machine; which Events there were before anything happens to it is kept."""
        self.old_events = {event["metadata"]["uid"] for event in items("events", NAMESPACE)}
        return {path: row for path, row in rows().items() if row[column] == name}

    def new_events(self):
        return [(event.get("reason"), event.get("message")) for event in items("events", NAMESPACE)
                if event["involvedObject"]["kind"] == "ActorSystem" and event["metadata"]["uid"] not in self.old_events]

    def events_tell(self, lost, rules):
        """Of each unit, or of its node, if another leader came meanwhile, who does not know what was there."""
        told = " ".join(message for reason, message in self.new_events() if reason in rules)
        return all(re.search(rf"\b({re.escape(row['unit'])}|{row['node']} held under the last leader)\b", told) for row in lost.values())

    def delete_pod(self):
        with Load() as load:
            node = settled_rows()["tellers.1/counter"]["node"]
            before = self.on("node", node)
            kubectl("delete", "pod", node, "-n", NAMESPACE)
            self.replaced(before, ("Proof", "Move"))
        self.assertGreater(load.answered, 0)
        self.assertNotIn(node, pods(), "serial names are not used again")

    def crash(self):
        """SIGKILL to the runtime: its parent starts another one, which has a new uid; units come back with higher epochs."""
        with Load() as load:
            node = settled_rows()["tellers.2/counter"]["node"]
            before = self.on("node", node)
            statuses = {row["node"]: row for row in system()["status"]["nodeStatuses"]}
            find = "for p in /proc/[0-9]*; do read -r s <$p/stat; set -- $s; [ $4 = 1 ] && kill -KILL $1; done; true"
            kubectl("exec", node, "-n", NAMESPACE, "--", "bash", "-c", find)
            self.replaced(before, ("Proof",))
        self.assertGreater(load.answered, 0)
        now = {row["node"]: row for row in system()["status"]["nodeStatuses"]}
        self.assertNotEqual(now[node]["uid"], statuses[node]["uid"])
        self.assertIn(node, pods(), "the pod stays")

    def lose_machine(self):
        node = settled_rows()["tellers.3/counter"]["node"]
        machine = pods()[node]["spec"]["nodeName"]
        before = self.on("kubeNode", machine)
        bed("node", "kill", machine.removeprefix("node"))
        wait_until("the status names what is missing", lambda: condition(system(), "Ready")["status"] == "False", 60)
        for _ in range(10):  # nothing proves that it is gone
            waiting = rows()
            self.assertTrue(all(waiting.get(path, {}).get("epoch", row["epoch"]) == row["epoch"] for path, row in before.items()))
            time.sleep(1)
        kubectl("delete", "node", machine)
        self.replaced(before, ("Assertion",))
        bed("node", "start", machine.removeprefix("node"))
        wait_until("the machine is back", lambda: condition(get("node", machine, NAMESPACE) or {}, "Ready")["status"] == "True", 90)

    def scale(self):
        kept = incarnations()
        for count in (5, 2, 0, 3):
            kubectl("scale", "actorsystem/bank", f"--replicas={count}", "-n", NAMESPACE)
            wait_until(f"there are {count} nodes", lambda count=count: len(pods()) == count
                       and system()["status"].get("replicas", 0) == count and is_observed(), 120)
            if count:
                wait_ready()
            if count == 5:
                now = incarnations()
                moved = {path for path in kept if now[path] != kept[path]}
                self.assertLess(len(moved), len(kept), "growing leaves most units where they are")
            if count == 0:
                self.assertEqual(condition(system(), "Ready")["reason"], "ScaledToZero")

    def drain(self):
        machine = pods()[incarnations()["ledger"][0]]["spec"]["nodeName"]
        kubectl("drain", machine, f"--pod-selector={NODES}", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s", "--force")
        wait_until("no node is on the machine", lambda: all(pod["spec"].get("nodeName") != machine for pod in pods().values()), 120)
        wait_ready()
        kubectl("uncordon", machine)

    def roll(self):
        """A change of the image, which on the bed has another name too; elsewhere of the template."""
        before = set(pods())
        least = 3

        def is_rolled():
            nonlocal least
            least = min(least, int(system()["status"]["nodes"]["ready"]))
            return not before & set(pods()) and is_ready()

        nodes = ({"image": f"docker.io/library/{image('bank')}"} if ON_BED else
                 {"podTemplate": {"metadata": {"annotations": {"example.dev/rolled": "yes"}}}})
        kubectl("patch", "actorsystem", "bank", "-n", NAMESPACE, "--type=merge", "-p", json.dumps({"spec": {"nodes": nodes}}))
        wait_until("all pods are new", is_rolled, 180)
        self.assertGreaterEqual(least, 2, "node by node")

    def kill_operator(self):
        before, term = incarnations(), term_of("bank", NAMESPACE)
        kubectl("delete", "pods", "-n", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/name=histrio-operator", "--force", "--grace-period=0")
        kubectl("rollout", "status", "deployment/histrio", "-n", RELEASE_NAMESPACE, "--timeout=120s")
        wait_until("another operator has taken over", lambda: term_of("bank", NAMESPACE) > term, 60)
        wait_ready()
        self.unchanged(before)

    def stop_api_server(self):
        before = incarnations()
        bed("part", "stop", "apiserver")
        time.sleep(API_AWAY_SECONDS)
        started = time.time()
        bed("part", "start", "apiserver")
        self.starts.append((started, time.time()))
        wait_ready()
        self.unchanged(before)
        wait_until("the machines are Ready again", lambda: all(
            condition(machine, "Ready")["status"] == "True" for machine in items("nodes", NAMESPACE)), 180)

    def unchanged(self, before):
        self.assertEqual(incarnations(), before, "no actor was restarted or moved")

    def upgrade(self):
        """A new version of the chart has another definition: here one with one more column."""
        before = incarnations()
        with tempfile.TemporaryDirectory() as folder:
            chart = os.path.join(folder, "histrio")
            shutil.copytree(os.path.join(ROOT, "charts/histrio"), chart, symlinks=False)
            path = os.path.join(chart, "templates/crds/actorsystems.yaml")
            with open(path) as file:
                text = file.read()
            column = "{name: Ready, type: string,"
            self.assertIn(column, text)
            with open(path, "w") as file:
                file.write(text.replace(column, f"{{name: Generation, type: integer, jsonPath: .metadata.generation}}\n        - {column}"))
            install("--set", "logLevel=debug", chart=chart)
        self.assertRegex(kubectl("get", "actorsystems", "-n", NAMESPACE), "^NAME +GENERATION +READY")
        wait_ready()
        self.unchanged(before)

    def uninstall(self):
        """In any order: a namespace with a system in it; a system; the operator while a system runs, and that system then."""
        make_namespace(OTHER_NAMESPACE)
        apply_small(OTHER_NAMESPACE)
        kubectl("delete", "namespace", OTHER_NAMESPACE, "--timeout=90s")
        apply_small(NAMESPACE)
        kubectl("delete", "actorsystem", "bank", "-n", NAMESPACE, "--timeout=60s")
        kinds = "pods,services,secrets,poddisruptionbudgets,actorplacements,actorfences"
        wait_until("nothing of the system is left", lambda: not items(kinds, NAMESPACE, "-l", NODES), 60)
        helm("uninstall", "histrio", "-n", RELEASE_NAMESPACE, "--wait", "--timeout", "2m")
        delete_small(NAMESPACE)
        kubectl("delete", "namespace", NAMESPACE, RELEASE_NAMESPACE, "--timeout=90s")
        left = [name for name in kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").split() if "histrio" in name]
        self.assertEqual(left, [])
        clean()


if __name__ == "__main__":
    unittest.main(verbosity=2)
