"""A histrio-operator process and what it needs, for tests against an API server."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import histrio_run
from api_server import BIN
from histrio_run import BUILD, ROOT, SLOW  # noqa: F401 (SLOW is for those that import from here)
from kube_client import ApiError

SYSTEMS = "/apis/histrio.dev/v1alpha1/namespaces/default/actorsystems"
FENCES = "/apis/histrio.dev/v1alpha1/namespaces/default/actorfences"
PLACEMENTS = "/apis/histrio.dev/v1alpha1/namespaces/default/actorplacements"
PODS = "/api/v1/namespaces/default/pods"


def wait_until(what, condition, seconds=20):
    """As histrio_run's, with more patience and fewer requests."""
    return histrio_run.wait_until(what, condition, seconds, pause=0.05)


def install_crds(server):
    manifests = subprocess.run([os.path.join(BIN, "helm"), "template", "crds", "--kube-version", "1.34.4", os.path.join(ROOT, "charts", "histrio-crds")],
                               check=True, stdout=subprocess.PIPE, text=True).stdout
    server.kubectl("apply", "--server-side", "-f", "-", text=manifests)
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    wait_served(server)


def wait_served(server):
    """Until the storage of our definitions has begun; before, each request is answered by 429."""
    for path in (SYSTEMS, FENCES, PLACEMENTS):
        wait_until(f"{path} can be listed", lambda path=path: can_list(server.client(), path), 30)


def can_list(client, path):
    try:
        return client.get(path)
    except ApiError:
        return None


class Operator:
    """One replica. It ends with the thread that started it, whatever way."""

    def __init__(self, kubeconfig, *arguments, program=None):
        self.log_file = tempfile.NamedTemporaryFile("w+", prefix="histrio-operator-", suffix=".log")
        program = program or os.environ.get("HISTRIO_OPERATOR_PROGRAM") or os.path.join(BUILD, "bin", "histrio-operator")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", program, f"--kubeconfig={kubeconfig}", "--http-address=127.0.0.1:0", *arguments],
            stdout=self.log_file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        wait_until(lambda: f"the operator starts: {self.log()}", lambda: self.started() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(f"the operator ended:\n{self.log()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.log_file.close()

    def log(self):
        with open(self.log_file.name, errors="replace") as file:
            return file.read()

    def lines(self, text):
        """Whole ones: the last may be under way."""
        return [json.loads(line) for line in self.log().split("\n")[:-1] if f'"text":"{text}"' in line]

    def started(self):
        return self.lines("started")

    def http(self, path):
        with urllib.request.urlopen(f"http://{self.started()[0]['http']}{path}", timeout=10) as answer:
            return answer.read().decode()

    def is_ready(self):
        try:
            return self.http("/readyz") == "ok\n"
        except urllib.error.HTTPError:
            return False

    def metric(self, name):
        """The value of a sample, labels included in the name."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http("/metrics"), re.MULTILINE)
        return float(found.group(1)) if found else None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self, seconds=15):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds * SLOW)


def condition(system, kind):
    for row in system.get("status", {}).get("conditions", []):
        if row["type"] == kind:
            return row
    return {}
