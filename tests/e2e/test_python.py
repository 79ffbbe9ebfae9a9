#!/usr/bin/env python3
"""A system in Python whose code is a ConfigMap: kubectl alone brings it to a cluster, and shows why an actor crashed."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (CommandError, RELEASE_NAMESPACE, Story, condition, get, helm, histrio, image, install, items, kubectl,  # noqa: E402
                     make_namespace, wait_until)

NAMESPACE = "counting"
CODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "counters.py")
SYSTEM = {
    "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": "counting"},
    "spec": {
        "nodes": {"replicas": 2, "image": image("node")},
        "code": {"python": {"configMap": "counting-code", "preload": ["counters"]}},
        "actors": [{"name": "counter", "replicas": 2, "behavior": {"python": "counters:Counter"}, "args": {"start": 10}},
                   {"name": "adder", "behavior": {"python": "counters:Adder"}}],
    },
}


def line_of(text):
    with open(CODE) as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def ask(actor, method, arguments):
    return histrio("ask", f"counting/{actor}", method, json.dumps(arguments), namespace=NAMESPACE).json


def rows():
    return {row["path"]: row for table in items("actorplacements", NAMESPACE) for row in table.get("actors", [])}


def running_rows():
    found = rows()
    return found if len(found) == 3 and all(row["state"] == "Running" for row in found.values()) else None


class Counting(Story):
    namespaces = (NAMESPACE,)

    def test_story(self):
        self.step("helm install", install)
        self.step("kubectl apply of a ConfigMap and a system", self.apply)
        self.step("its actors answer, also each other over two nodes", self.answers)
        self.step("a segmentation fault shows file, line and function", self.crash)
        self.step("a module that does not import is told, and mended", self.mend)
        self.step("it goes", self.remove)

    def apply(self):
        make_namespace(NAMESPACE)
        kubectl("create", "configmap", "counting-code", f"--from-file={CODE}", "-n", NAMESPACE)
        kubectl("apply", "-n", NAMESPACE, "-f", "-", text=json.dumps(SYSTEM))
        kubectl("wait", "--for=condition=Ready", "actorsystem/counting", "-n", NAMESPACE, "--timeout=120s")

    def answers(self):
        self.assertEqual(ask("counter.0", "add", {"amount": 5}), 15)
        self.assertEqual(ask("counter.0", "add", [1]), 16)
        placed = wait_until("all is placed", running_rows)
        if all(row["rule"] != "Balance" for row in placed.values()):  # then a node came so late that any unit was moved to it
            self.assertEqual(len({placed[f"counter.{number}"]["node"] for number in (0, 1)}), 2)
        far = next(path for path in ("counter.0", "counter.1") if placed[path]["node"] != placed["adder"]["node"])
        before = ask(far, "add", [0])
        self.assertEqual(ask("adder", "forward", [far, 2]), before + 2)

    def crash(self):
        before = rows()["counter.1"]
        with self.assertRaises(CommandError) as refused:
            ask("counter.1", "crash", [])
        self.assertIn("exit code 7", str(refused.exception))  # Crashed
        place = f"SIGSEGV counters.py:{line_of('string_at')} in crash"

        def is_told():
            text = kubectl("describe", "actorsystem", "counting", "-n", NAMESPACE)
            return place in text or re.search(r"SIGSEGV .*string_at", text) and "counters.py" in text

        wait_until(f"kubectl describe says {place}", is_told, 30)
        self.assertIn(place, kubectl("describe", "actorsystem", "counting", "-n", NAMESPACE))
        self.assertEqual(ask("counter.1", "add", [1]), 11, "it began anew")
        wait_until("the placement shows the next incarnation", lambda: int(rows()["counter.1"]["incarnation"]) == int(before["incarnation"]) + 1)
        self.assertEqual(rows()["counter.1"]["node"], before["node"], "its node goes on")
        self.assertEqual(ask("counter.0", "add", [0]), ask("counter.0", "add", [0]))
        pods = items("pods", NAMESPACE)
        self.assertEqual([status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]], [0, 0])

    def mend(self):
        """A wrong class name is in the status; the right one heals the system."""
        patch = [{"op": "replace", "path": "/spec/actors/1/behavior/python", "value": "counters:Adderr"}]
        kubectl("patch", "actorsystem", "counting", "-n", NAMESPACE, "--type=json", "-p", json.dumps(patch))

        def is_told():
            thing = get("actorsystem", "counting", NAMESPACE)
            return condition(thing, "Ready")["status"] == "False" and "Adderr" in json.dumps(thing["status"])

        wait_until("the status names the class that is not there", is_told, 60)
        patch[0]["value"] = "counters:Adder"
        kubectl("patch", "actorsystem", "counting", "-n", NAMESPACE, "--type=json", "-p", json.dumps(patch))
        kubectl("wait", "--for=condition=Ready", "actorsystem/counting", "-n", NAMESPACE, "--timeout=120s")
        self.assertEqual(ask("adder", "forward", ["counter.0", 0]), ask("counter.0", "add", [0]))

    def remove(self):
        kubectl("delete", "actorsystem", "counting", "-n", NAMESPACE, "--timeout=60s")
        helm("uninstall", "histrio", "-n", RELEASE_NAMESPACE, "--wait", "--timeout", "2m")
        kubectl("delete", "namespace", NAMESPACE, RELEASE_NAMESPACE, "--timeout=90s")
        kubectl("delete", *[name for name in kubectl("get", "crd", "-o", "name").split() if name.endswith(".histrio.dev")], "--timeout=60s")


if __name__ == "__main__":
    unittest.main(verbosity=2)
