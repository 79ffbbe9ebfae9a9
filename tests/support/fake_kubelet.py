"""Plays scheduler, kubelet and garbage collector for the Pods of ActorSystems on a bare API server: each Pod is a histrio-node
process of this machine, on a loopback address of its own, so that the operator and the nodes talk as they do in a cluster.

    with ApiServer() as server, FakeKubelet(server, machines=3) as kubelet:
        ...
        kubelet.kill("bank-nodes-1")        # SIGKILL to all of the Pod: reported as terminated, as a kubelet does
        kubelet.lose("machine-2")           # its Pods freeze, and nobody reports anything any more

What it does not have: images (IMAGES_MISSING are reported as such), limits, and time for being slow.
"""

import base64
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from kube_client import ApiError

MISSING_IMAGE = "example/missing"
CLAIM_PORT = 7079  # no node listens there
SELECTOR = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhistrio-operator"


class FakePod:
    def __init__(self, name, namespace, uid):
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.machine = None
        self.folder = None
        self.address = None
        self.process = None
        self.is_bound = False
        self.is_waiting = False
        self.is_reported = False  # as running
        self.is_ended = False
        self.kill_at = None

    @property
    def path(self):
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


class FakeKubelet:
    """One thread looks at all Pods, again and again; the methods below are for any thread."""

    def __init__(self, server, machines, program, code_folder):
        self.server = server
        self.client = server.client(timeout=10)
        self.program = program
        self.code_folder = code_folder
        self.machines = [f"machine-{number}" for number in range(machines)]
        self.lost = set()
        self.pods = {}
        self.started = []  # names of all Pods that ever ran, in order
        self.network, self.network_claim = claim_network()
        self.addresses = itertools.count(1)
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.folder = tempfile.mkdtemp(prefix="histrio-kubelet-")
        self.thread = threading.Thread(target=self.run, name="kubelet")
        self.problem = None  # the last one
        self.is_collecting = True

    def __enter__(self):
        for name in self.machines:
            self.add_machine(name)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for pod in self.pods.values():
            self.end_process(pod)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.network_claim.close()

    # ---- for tests ----

    def add_machine(self, name):
        self.client.create("/api/v1/nodes", {"metadata": {
            "name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{name[-1]}"}}})

    def set_collecting(self, is_collecting):
        """As the garbage collector, or not: Pods whose ActorSystem is gone. A round that is going on ends before this returns."""
        with self.lock:
            self.is_collecting = is_collecting

    def kill(self, name):
        """As the kernel does when memory is out: everything of the Pod."""
        with self.lock:
            os.killpg(self.pods[name].process.pid, signal.SIGKILL)

    def runtime(self, name):
        """The process id of the runtime below the Pod's first process."""
        with self.lock:
            pid = self.pods[name].process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return int(file.read().split()[0])

    def lose(self, machine):
        """A power cut: whatever ran there stops at once, and nothing is ever heard of it again."""
        with self.lock:
            self.lost.add(machine)
            for pod in self.pods.values():
                if pod.machine == machine and pod.process and pod.process.poll() is None:
                    os.killpg(pod.process.pid, signal.SIGKILL)
                    pod.process.wait()

    def restore(self):
        """All machines are back, empty."""
        with self.lock:
            for pod in [pod for pod in self.pods.values() if pod.machine in self.lost]:
                self.end_process(pod)
                try:
                    self.client.delete(pod.path, {"gracePeriodSeconds": 0})
                except ApiError as error:
                    if error.code != 404:  # the operator may be faster
                        raise
                del self.pods[pod.name]
            self.lost.clear()
            for name in self.machines:
                if not self.client.find(f"/api/v1/nodes/{name}"):
                    self.add_machine(name)

    def on(self, machine):
        with self.lock:
            return sorted(pod.name for pod in self.pods.values() if pod.machine == machine and not pod.is_ended)

    def log_of(self, name):
        with open(os.path.join(self.folder, f"{name}.log"), errors="replace") as file:
            return file.read()

    # ---- the loop ----

    def run(self):
        while not self.stopping.is_set():
            with self.lock:
                self.attempt(self.step)
            self.stopping.wait(0.05)

    def attempt(self, function, *arguments):
        """The API server may be away, or somebody was faster: the next round sees what is so."""
        try:
            function(*arguments)
        except (ApiError, OSError, http.client.HTTPException, json.JSONDecodeError) as problem:
            self.problem = problem

    def collect(self, listed):
        uids = {system["metadata"]["uid"] for system in self.client.items("/apis/histrio.dev/v1alpha1/actorsystems")}
        for pod in listed.values():
            meta = pod["metadata"]
            if "deletionTimestamp" not in meta and all(owner["uid"] not in uids for owner in meta["ownerReferences"]):
                self.client.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}")

    def step(self):
        listed = {pod["metadata"]["name"]: pod for pod in self.client.items(f"/api/v1/pods?{SELECTOR}")}
        for name, known in list(self.pods.items()):
            if name not in listed or listed[name]["metadata"]["uid"] != known.uid:
                if known.machine not in self.lost:
                    self.end_process(known)
                del self.pods[name]
        for name, listed_pod in listed.items():
            meta = listed_pod["metadata"]
            pod = self.pods.setdefault(name, FakePod(name, meta["namespace"], meta["uid"]))
            if pod.machine not in self.lost:
                self.attempt(self.step_pod, pod, listed_pod)
        if self.is_collecting:
            self.collect(listed)

    def step_pod(self, pod, listed):
        is_deleting = "deletionTimestamp" in listed["metadata"]
        if not pod.is_bound:
            if is_deleting:
                self.client.delete(pod.path, {"gracePeriodSeconds": 0})
            else:
                self.bind(pod)
        elif not pod.process:
            if is_deleting:
                self.client.delete(pod.path, {"gracePeriodSeconds": 0})
            elif not pod.is_waiting:
                self.start(pod, listed)
        elif pod.process.poll() is not None:
            if not pod.is_ended:
                self.report_end(pod)
            if is_deleting:
                self.client.delete(pod.path, {"gracePeriodSeconds": 0})
        elif is_deleting:
            self.stop(pod, listed)
        elif not pod.is_reported:
            self.report_start(pod)

    # ---- one Pod ----

    def bind(self, pod):
        free = [name for name in self.machines if name not in self.lost and self.is_usable(name)]
        if not free:
            return
        machine = min(free, key=lambda name: sum(other.machine == name for other in self.pods.values()))
        self.client.create(f"{pod.path}/binding", {"metadata": {"name": pod.name}, "target": {"kind": "Node", "name": machine}})
        pod.machine = machine
        pod.is_bound = True

    def is_usable(self, machine):
        node = self.client.find(f"/api/v1/nodes/{machine}")
        return node is not None and not node["spec"].get("unschedulable")

    def report(self, pod, phase, state, **more):
        self.client.merge(f"{pod.path}/status", {"status": {"phase": phase, "containerStatuses": [{
            "name": "node", "image": "i", "imageID": "i", "ready": phase == "Running", "restartCount": 0, "state": state}], **more}})

    def start(self, pod, listed):
        container = next(one for one in listed["spec"]["containers"] if one["name"] == "node")
        if container["image"].startswith(MISSING_IMAGE):
            pod.is_waiting = True
            self.report(pod, "Pending", {"waiting": {
                "reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}})
            return
        pod.address = f"127.{self.network}.{next(self.addresses) % 250 + 1}.1"
        pod.folder = os.path.join(self.folder, pod.name)
        self.write_volumes(pod, listed)
        environment = self.environment(pod, container, pod.address)
        with open(os.path.join(self.folder, f"{pod.name}.log"), "w") as log:
            pod.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", self.program], env=environment, stdout=log, stderr=subprocess.STDOUT,
                                           stdin=subprocess.DEVNULL, cwd=pod.folder, start_new_session=True)
        self.started.append(pod.name)
        self.report_start(pod)

    def report_start(self, pod):
        self.report(pod, "Running", {"running": {"startedAt": now()}}, podIP=pod.address, podIPs=[{"ip": pod.address}],
                    startTime=now(), conditions=[{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")])
        pod.is_reported = True

    def write_volumes(self, pod, listed):
        volume = next(one for one in listed["spec"]["volumes"] if one["name"] == "histrio-tls")["secret"]
        secret = self.client.get(f"/api/v1/namespaces/{pod.namespace}/secrets/{volume['secretName']}")
        folder = os.path.join(pod.folder, "tls")
        os.makedirs(folder, exist_ok=True)
        for item in volume["items"]:
            with open(os.path.join(folder, item["path"]), "wb") as file:
                file.write(base64.b64decode(secret["data"][item["key"]]))

    def environment(self, pod, container, address):
        """As the container has it, with the addresses and folders of this machine."""
        fields = {"status.podIP": address, "metadata.uid": pod.uid, "spec.nodeName": pod.machine}
        values = {}
        for variable in container["env"]:
            source = variable.get("valueFrom")
            values[variable["name"]] = fields[source["fieldRef"]["fieldPath"]] if source else variable.get("value", "")
            if variable["name"].endswith("_ADDRESS"):
                values[variable["name"]] = variable["value"].replace("0.0.0.0", address)
        values.update(HISTRIO_CODE_FOLDERS=self.code_folder, HISTRIO_TLS_FOLDER=os.path.join(pod.folder, "tls"),
                      HISTRIO_TERMINATION_LOG=os.path.join(pod.folder, "termination-log"), HISTRIO_WORKERS="1",
                      PATH=os.environ["PATH"])
        return values

    def stop(self, pod, listed):
        if pod.kill_at is None:
            pod.kill_at = time.monotonic() + listed["metadata"].get("deletionGracePeriodSeconds", 30)
            pod.process.send_signal(signal.SIGTERM)
        elif time.monotonic() > pod.kill_at:
            os.killpg(pod.process.pid, signal.SIGKILL)

    def report_end(self, pod):
        code = pod.process.returncode
        end = {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error", "finishedAt": now()}
        try:
            with open(os.path.join(pod.folder, "termination-log")) as file:
                end["message"] = file.read(4096)
        except OSError:
            pass
        self.report(pod, "Succeeded" if code == 0 else "Failed", {"terminated": end})
        pod.is_ended = True

    def end_process(self, pod):
        if pod.process:
            if pod.process.poll() is None:
                os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()
        if pod.folder:
            shutil.rmtree(pod.folder, ignore_errors=True)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def claim_network():
    """127.N.0.0 that no other kubelet of this machine has, while the socket is open."""
    for number in random.sample(range(1, 250), 249):
        claim = socket.socket()
        try:
            claim.bind((f"127.{number}.0.1", CLAIM_PORT))
            return number, claim
        except OSError:
            claim.close()
    raise RuntimeError("no loopback network is free")
