"""The attacker's pod, and the small system that is its own. What it tries: attacker.c."""

import json
import os
import re
import subprocess

from harness import BUILD, get, image, items, kubectl, make_pod, term_of, wait_until

SMALL = "small"
POD = "attacker"
PROGRAM = os.path.join(BUILD, "bin/attacker")


def apply_small(namespace):
    """A system of one actor on one node."""
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps({
        "apiVersion": "histrio.dev/v1alpha1", "kind": "ActorSystem", "metadata": {"name": SMALL}, "spec": {
            "nodes": {"replicas": 1, "image": image("bank")}, "code": {"c": [{"library": "bank", "path": "libbank.so"}]},
            "actors": [{"name": "ledger", "behavior": {"c": "bank.ledger"}, "args": {"currency": "EUR"}}]}}))
    wait_small(namespace)


def wait_small(namespace):
    kubectl("wait", "--for=condition=Ready", f"actorsystem/{SMALL}", "-n", namespace, "--timeout=120s")


def small_rows(namespace):
    return [row for table in items("actorplacements", namespace, "-l", f"histrio.dev/system={SMALL}") for row in table["actors"]]


def running_small_rows(namespace):
    """None until its actor runs: placements are written after the status."""
    found = small_rows(namespace)
    return found if found and all(row["state"] == "Running" and row["incarnation"] for row in found) else None


def delete_small(namespace):
    kubectl("delete", "actorsystem", SMALL, "-n", namespace, "--timeout=60s")
    kinds = "pods,services,secrets,poddisruptionbudgets,actorplacements,actorfences"
    wait_until("nothing of the small system is left", lambda: not items(kinds, namespace, "-l", f"histrio.dev/system={SMALL}"), 60)


def make_attacker(namespace, *systems):
    """With the Secrets of these systems, the program, and the one library of it that the node image lacks."""
    make_pod(POD, namespace, [f"{system}-histrio-tls" for system in systems])
    libraries = subprocess.run(["ldd", PROGRAM], check=True, stdout=subprocess.PIPE, text=True).stdout
    for path in (PROGRAM, re.search(r"libcmocka\S* => (\S+)", libraries).group(1)):
        kubectl("cp", os.path.realpath(path), f"{namespace}/{POD}:/scratch/{os.path.basename(path)}")


def words_of(system, namespace):
    """What attacker.c wants to know of a victim: its name and uid, the address of the first node, a folder with its keys."""
    pod = items("pods", namespace, "-l", f"histrio.dev/system={system}")[0]
    return system, get("actorsystem", system, namespace)["metadata"]["uid"], pod["status"]["podIP"], f"/secrets/{system}-histrio-tls"


def attack(namespace, system):
    """All of attacker.c against that system, with the small one beside it."""
    term = term_of(SMALL, namespace)
    return kubectl("exec", POD, "-n", namespace, "--", "env", "LD_LIBRARY_PATH=/scratch", "/scratch/attacker", *words_of(system, namespace),
                   *words_of(SMALL, namespace), str(term))
