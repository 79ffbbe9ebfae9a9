"""A real cluster for the end-to-end tests, and steps that wait and check: standard library only.

Environment: KUBECONFIG is the cluster's. HISTRIO_TEST_BED: it is the one of tests/cluster, whose machines may be switched off and
whose audit log is read. HISTRIO_IMAGE_REGISTRY ("", a prefix of the images' names) and HISTRIO_IMAGE_TAG ("dev").
"""

import datetime
import json
import os
import subprocess
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import histrio_run  # noqa: E402

BUILD = os.path.abspath(os.environ.get("HISTRIO_TEST_BUILD", os.path.join(ROOT, "build", "dev")))
CLUSTER_DIR = os.environ.get("CLUSTER_DIR") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "histrio-cluster")
ON_BED = bool(os.environ.get("HISTRIO_TEST_BED"))
REGISTRY = os.environ.get("HISTRIO_IMAGE_REGISTRY", "")
TAG = os.environ.get("HISTRIO_IMAGE_TAG", "dev")
AUDIT_LOG = os.path.join(CLUSTER_DIR, "run/log/audit.log")
RELEASE_NAMESPACE = "histrio"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
ENVIRONMENT = dict(os.environ, PATH=f"{os.path.join(CLUSTER_DIR, 'bin')}:{os.environ['PATH']}")
CLI_FOLDER = os.path.join(BUILD, "tests", "e2e")


def wait_until(what, condition, seconds=30):
    """As histrio_run's, with the patience that kubectl needs."""
    return histrio_run.wait_until(what, condition, seconds, pause=0.1)


def image(name):
    return f"{REGISTRY.rstrip('/') + '/' if REGISTRY else ''}histrio-{name}:{TAG}"


class CommandError(AssertionError):
    """A command that should have worked did not."""


class Answer(str):
    """What a command printed; .json: read as that."""

    @property
    def json(self):
        return json.loads(self)


def run(*command, text=None, check=True, seconds=300):
    result = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                            env=ENVIRONMENT, timeout=seconds)
    if check and result.returncode != 0:
        raise CommandError(f"{' '.join(command)}: exit code {result.returncode}: {result.stderr}{result.stdout}")
    return Answer(result.stdout)


def kubectl(*arguments, **options):
    return run("kubectl", *arguments, **options)


def helm(*arguments, **options):
    return run("helm", *arguments, **options)


def bed(script, *arguments):
    """A script of tests/cluster."""
    return run(os.path.join(ROOT, "tests/cluster", f"{script}.sh"), *map(str, arguments))


def get(kind, name, namespace):
    """The object, or None."""
    text = kubectl("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json")
    return text.json if text else None


def items(kind, namespace, *selection):
    return kubectl("get", kind, "-n", namespace, "-o", "json", *selection).json["items"]


def term_of(system, namespace):
    """Of the present leader: the status has that of the one who wrote it last."""
    return get("actorfence", system, namespace)["record"]["term"]


def condition(thing, kind):
    for one in thing.get("status", {}).get("conditions", []):
        if one["type"] == kind:
            return one
    return {"status": "Unknown", "reason": "", "message": ""}


def histrio(*arguments, namespace, check=True):
    """The CLI as kubectl's plugin, by the name under which users call it."""
    os.makedirs(CLI_FOLDER, exist_ok=True)
    plugin = os.path.join(CLI_FOLDER, "kubectl-histrio")
    if not os.path.lexists(plugin):
        os.symlink(os.path.join(BUILD, "bin", "histrio"), plugin)
    environment = dict(ENVIRONMENT, PATH=f"{CLI_FOLDER}:{ENVIRONMENT['PATH']}")
    command = ["kubectl", "histrio", *arguments, "-n", namespace]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, env=environment,
                            timeout=120)
    if check and result.returncode != 0:
        raise CommandError(f"{' '.join(command)}: exit code {result.returncode}: {result.stderr}")
    return Answer(result.stdout)


def make_pod(name, namespace, secrets=()):
    """One that has nothing to do with any system, of the node image, which has bash. Secrets are mounted below /secrets, /scratch is its own."""
    volumes = [{"name": "scratch", "emptyDir": {}}] + [{"name": secret, "secret": {"secretName": secret}} for secret in secrets]
    mounts = [{"name": "scratch", "mountPath": "/scratch"}] + [{"name": secret, "mountPath": f"/secrets/{secret}"} for secret in secrets]
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "volumes": volumes,
            "containers": [{"name": "client", "image": image("node"), "command": ["sleep", "infinity"], "volumeMounts": mounts,
                            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}}]}}))
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=60s")


def http_from(pod, namespace, host, method, path):
    """Status and body of a request that this pod makes, with nothing but bash."""
    script = (f"exec 3<>/dev/tcp/{host}/7072; printf '{method} {path} HTTP/1.1\\r\\nHost: {host}\\r\\nContent-Length: 0\\r\\n"
              "Connection: close\\r\\n\\r\\n' >&3; timeout 10 cat <&3")
    head, _, body = kubectl("exec", pod, "-n", namespace, "--", "bash", "-c", script).replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), Answer(body)


def make_namespace(name):
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace",
                                                 "metadata": {"name": name, "labels": RESTRICTED}}))


def install(*values, chart=os.path.join(ROOT, "charts/histrio")):
    """The chart with our images, in a namespace that enforces restricted Pod Security."""
    make_namespace(RELEASE_NAMESPACE)
    helm("upgrade", "--install", "histrio", chart, "-n", RELEASE_NAMESPACE, "--wait", "--timeout", "3m",
         "--set", f"global.imageRegistry={REGISTRY}", "--set", f"image.tag={TAG}", *values)


def audit_size():
    """How much the audit log has now, in whole lines: what comes behind it is of this test."""
    with open(AUDIT_LOG, "rb") as file:
        return file.read().rfind(b"\n") + 1


def refused_requests(begin, starts=()):
    """What the API server refused to the operator and to nodes (403), by the audit log: for want of rights, and by admission, as
    when a namespace is being deleted. What it refuses while it starts, `starts` from (time) to (ready), is not counted: until it is
    ready it knows some roles and bindings, and others not."""
    refused, too_late = [], []
    with open(AUDIT_LOG, "rb") as file:
        file.seek(begin)
        for line in file:
            if not line.endswith(b"\n"):
                break  # it is being written
            entry = json.loads(line)
            if entry.get("responseStatus", {}).get("code") != 403:
                continue
            user = entry["user"]["username"]
            message = entry["responseStatus"].get("message", "")
            received = datetime.datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
            is_starting = any(start <= received <= ready for start, ready in starts)
            if user.startswith(f"system:serviceaccount:{RELEASE_NAMESPACE}:") and not is_starting:
                is_right = entry.get("annotations", {}).get("authorization.k8s.io/decision") == "allow"
                told = too_late if is_right else refused
                told.append(f"{user} {entry['verb']} {entry['requestURI']}: {message}")
    return refused, too_late


class Story(unittest.TestCase):
    """Steps that follow on each other, each timed; what a failing one leaves is shown."""

    namespaces = ()

    def step(self, what, action, *arguments):
        started = time.monotonic()
        print(f"{what} ...", flush=True)
        try:
            result = action(*arguments)
        except BaseException:
            self.show()
            raise
        print(f"    ok, {time.monotonic() - started:.1f} s", flush=True)
        return result

    def show(self):
        for namespace in (RELEASE_NAMESPACE, *self.namespaces):
            for command in (("get", "pods,actorsystems,actorplacements,events", "-n", namespace, "-o", "wide"),
                            ("logs", "-n", namespace, "-l", "app.kubernetes.io/part-of=histrio", "--tail=30", "--prefix"),
                            ("logs", "-n", namespace, "-l", "app.kubernetes.io/name=histrio-node", "--tail=15", "--prefix"),
                            ("get", "actorsystems", "-n", namespace, "-o", "yaml")):
                print(f"==== kubectl {' '.join(command)}\n{kubectl(*command, check=False)[-6000:]}", flush=True)


__all__ = ["BUILD", "ON_BED", "RELEASE_NAMESPACE", "ROOT", "CommandError", "Story", "audit_size", "bed", "condition", "get", "helm", "histrio", "image",
           "http_from", "install", "items", "kubectl", "make_namespace", "make_pod", "refused_requests", "run", "term_of", "wait_until"]
