#!/usr/bin/env python3
"""A real Kubernetes API server for tests: etcd and kube-apiserver on free ports of this machine, without root. Any number at once.

    with ApiServer() as server:
        server.client().create("/api/v1/namespaces", {"metadata": {"name": "a"}})
        token = server.service_account("a", "operator", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
        run([...], env={"KUBECONFIG": server.kubeconfig(token)})

ApiServer(controllers=True) has the controller manager, the scheduler and kwok beside it: garbage is collected, namespaces go
away, pods are bound to the fake nodes of add_nodes() and "run" there at once. Without them pods stay as they are written.

As a program (./dev cluster api) it runs until Ctrl-C, or as long as a command: api_server.py [--controllers] [COMMAND...]
"""

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from certificates import Authority, openssl
from kube_client import ApiError, KubeClient

CLUSTER_DIR = os.environ.get("CLUSTER_DIR") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "histrio-cluster")
BIN = os.path.join(CLUSTER_DIR, "bin")
START_SECONDS = 60

AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


class ServerError(Exception):
    pass


def free_ports(count):
    """Ports that nobody listens on now; somebody else may take one before it is used, so starting is tried again."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Daemon:
    """A program with its output in a file, which ends when this process ends, whatever way."""

    def __init__(self, folder, name, *arguments):
        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        program = os.path.join(BIN, name)
        if not os.access(program, os.X_OK):
            raise ServerError(f"no {program}: run ./dev cluster build")
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", program, *arguments], stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
                                            start_new_session=True)

    def check(self):
        if self.process.poll() is not None:
            raise ServerError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self, lines=20):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def kill(self):
        """At once: there is nothing to save."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class ApiServer:
    """Used by one thread, which must outlive it: the programs end with the thread that started them."""

    def __init__(self, arguments=(), controllers=False, kwok_arguments=()):
        """`arguments`: more flags for kube-apiserver."""
        self.arguments = list(arguments)
        self.kwok_arguments = list(kwok_arguments)
        self.with_controllers = controllers
        self.folder = None
        self.daemons = {}
        self.admin_token = "admin"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- life ----

    def start(self):
        tries = 3
        while True:
            tries -= 1
            try:
                self.start_once()
                return self
            except BaseException as error:
                taken = "address already in use" in str(error)
                self.stop()
                if not isinstance(error, ServerError) or not taken or tries == 0:
                    raise

    def start_once(self):
        self.folder = tempfile.mkdtemp(prefix="histrio-api-")
        self.port, self.etcd_port, peer_port, self.kwok_port = free_ports(4)
        self.url = f"https://127.0.0.1:{self.port}"
        etcd = f"http://127.0.0.1:{self.etcd_port}"
        self.daemons["etcd"] = Daemon(
            self.folder, "etcd", "--data-dir", self.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", f"http://127.0.0.1:{peer_port}")
        self.authority = Authority(self.folder)
        self.ca_file = self.authority.certificate
        self.authority.issue("server", "/CN=kube-apiserver", ["IP:127.0.0.1", "DNS:localhost"])
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path("accounts.key"))
        openssl("pkey", "-in", self.path("accounts.key"), "-pubout", "-out", self.path("accounts.pub"))
        self.write("tokens.csv", f'{self.admin_token},admin,admin,"system:masters"\n')
        self.write("audit.yaml", AUDIT_POLICY)
        self.start_server()
        if self.with_controllers:
            self.start_controllers()

    def start_server(self):
        """Also after stop_server(): the same address, the same objects."""
        # Pods need no service account when no controller makes the one of each namespace.
        accounts = [] if self.with_controllers else ["--disable-admission-plugins=ServiceAccount"]
        self.daemons["kube-apiserver"] = Daemon(
            self.folder, "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            f"--cert-dir={self.folder}", "--tls-cert-file=server.crt", "--tls-private-key-file=server.key",
            "--client-ca-file=ca.crt", "--token-auth-file=tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=accounts.pub",
            "--service-account-signing-key-file=accounts.key", "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            "--endpoint-reconciler-type=none", "--audit-log-path=audit.log", "--audit-policy-file=audit.yaml", *accounts, *self.arguments)
        self.wait_for("the API server is ready", self.is_ready)

    def is_ready(self):
        try:
            return self.client(timeout=5).text("GET", "/readyz") == "ok"
        except (OSError, ApiError):
            return False

    def stop_server(self):
        """The API server is away; etcd keeps what it knew."""
        self.daemons.pop("kube-apiserver").kill()

    def start_controllers(self):
        kubeconfig = f"--kubeconfig={self.kubeconfig()}"
        quick = ["--kube-api-qps=200", "--kube-api-burst=200", "--leader-elect=false", "--secure-port=0"]
        self.daemons["kube-controller-manager"] = Daemon(
            self.folder, "kube-controller-manager", kubeconfig, "--controllers=*", "--use-service-account-credentials",
            "--service-account-private-key-file=accounts.key", "--root-ca-file=ca.crt",
            "--cluster-signing-cert-file=ca.crt", "--cluster-signing-key-file=ca.key", *quick)
        self.daemons["kube-scheduler"] = Daemon(self.folder, "kube-scheduler", kubeconfig, *quick)
        self.daemons["kwok"] = Daemon(
            self.folder, "kwok", kubeconfig, "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{self.kwok_port}", *self.kwok_arguments)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.wait_for("there is a default service account", lambda: self.client().find(account))

    def stop(self):
        for daemon in reversed(list(self.daemons.values())):
            daemon.kill()
        self.daemons.clear()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def wait_for(self, what, condition):
        deadline = time.monotonic() + START_SECONDS
        while True:
            for daemon in self.daemons.values():
                daemon.check()
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                logs = "\n".join(f"==== {daemon.name}\n{daemon.tail()}" for daemon in self.daemons.values())
                raise ServerError(f"not in {START_SECONDS} s: {what}\n{logs}")
            time.sleep(0.05)

    # ---- use ----

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def client(self, token=None, timeout=30):
        return KubeClient(self.url, self.ca_file, token or self.admin_token, timeout)

    def kubeconfig(self, token=None, url=None, namespace="default"):
        """The path of a kubeconfig; `url`: of a proxy before the server, with a certificate of the same authority."""
        with open(self.ca_file, "rb") as file:
            authority = base64.b64encode(file.read()).decode()
        token = token or self.admin_token
        name = f"kubeconfig-{abs(hash((token, url, namespace)))}"
        return self.write(name, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url or self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}]}))

    def kubectl(self, *arguments, text=None):
        result = subprocess.run([os.path.join(BIN, "kubectl"), "--kubeconfig", self.kubeconfig(), *arguments], input=text,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise ServerError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def service_account(self, namespace, name, rules=(), cluster_rules=()):
        """A token of a new service account that may do `rules` in its namespace, and `cluster_rules` everywhere."""
        client = self.client()
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        client.create(accounts, {"metadata": {"name": name}})
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        for kind, scope, granted, full_name in (("Role", f"/namespaces/{namespace}", rules, name),
                                                ("ClusterRole", "", cluster_rules, f"{namespace}:{name}")):
            if granted:
                client.create(f"{rbac}{scope}/{kind.lower()}s", {"metadata": {"name": full_name}, "rules": list(granted)})
                client.create(f"{rbac}{scope}/{kind.lower()}bindings", {
                    "metadata": {"name": full_name}, "subjects": [subject],
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": full_name}})
        for rule in (*rules, *cluster_rules):
            self.wait_for(f"{name} may do {rule}", lambda rule=rule: self.may(f"system:serviceaccount:{namespace}:{name}", namespace, rule))
        return self.mint_token(namespace, name)

    def may(self, user, namespace, rule):
        """Does the server know that right of the user's? It sees roles and bindings a moment after they are written."""
        wanted = {"namespace": namespace, "verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": rule["resources"][0]}
        review = self.client().create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
            "user": user, "resourceAttributes": wanted}})
        return review["status"]["allowed"]

    def mint_token(self, namespace, name, seconds=3600):
        """Another token of a service account, as the kubelet mints them; the server's least is 600 seconds."""
        return self.client().create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                                    {"spec": {"expirationSeconds": seconds}})["status"]["token"]

    def audit(self):
        """All requests so far, as the audit log has them."""
        with open(self.path("audit.log")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]  # the last one may be under way

    def add_nodes(self, count):
        """Fake machines kwok-0 ... in three zones (needs controllers); returns when all are Ready."""
        for number in range(count):
            name = f"kwok-{number}"
            room = {"cpu": "64", "memory": "256Gi", "pods": "250"}
            self.client().create("/api/v1/nodes", {
                "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"},
                             "labels": {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                                        "topology.kubernetes.io/zone": f"zone{number % 3 + 1}"}},
                "status": {"allocatable": room, "capacity": room}})
        self.wait_for(f"{count} nodes are ready", lambda: self.ready_nodes() >= count)

    def ready_nodes(self):
        ready = {"type": "Ready", "status": "True"}
        return sum(any(ready.items() <= condition.items() for condition in node["status"].get("conditions", []))
                   for node in self.client().items("/api/v1/nodes"))


def main():
    parser = argparse.ArgumentParser(prog="./dev cluster api", description="an API server until Ctrl-C, or while a command runs")
    parser.add_argument("--controllers", action="store_true", help="with controller manager, scheduler and kwok")
    parser.add_argument("--nodes", type=int, default=0, metavar="COUNT", help="fake machines (with --controllers)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="runs with KUBECONFIG set")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with ApiServer(controllers=arguments.controllers or arguments.nodes > 0) as server:
        server.add_nodes(arguments.nodes)
        kubeconfig = server.kubeconfig()
        print(f"api server: {server.url}, up in {time.monotonic() - started:.1f} s, logs in {server.folder}\n"
              f"export KUBECONFIG={kubeconfig}", file=sys.stderr, flush=True)
        if arguments.command:
            environment = dict(os.environ, KUBECONFIG=kubeconfig, PATH=f"{BIN}:{os.environ['PATH']}")
            sys.exit(subprocess.run(arguments.command, env=environment, check=False).returncode)
        signal.pause()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except ServerError as problem:
        sys.exit(f"api server: {problem}")
