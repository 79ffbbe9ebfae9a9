#!/usr/bin/env bash
# Does a cluster run on pure cgroup version 2? One node, a pod whose limits must be in its cgroup and hold; makes the cluster, and
# ends it. Where this machine has version 1: uml.sh tests/cluster/v2.sh.
. "$(dirname "$0")/lib.sh"
cgroup_is_pure_v2 || exec "$HERE/uml.sh" "$0"
export KUBECONFIG=$ADMIN_KUBECONFIG
ok() { log "ok: $*"; }
set -E
trap 'log "failed: line $LINENO: $BASH_COMMAND"' ERR
trap '"$HERE/down.sh"' EXIT

reason() { kubectl get pod greedy -o jsonpath='{.status.containerStatuses[0].state.terminated.reason}'; }
is_killed() { [ "$(reason)" = OOMKilled ]; }
is_ready() { # RESTARTS
    [ "$(kubectl get pod web -o jsonpath='{.status.containerStatuses[0].ready} {.status.containerStatuses[0].restartCount}')" = "true $1" ]
}

limits() { # of the pod and of its container
    local uid folder
    uid=$(kubectl get pod web -o jsonpath='{.metadata.uid}')
    folder=/sys/fs/cgroup/histrio/node1/kubepods/burstable/pod$uid
    [ "$(cat "$folder/memory.max")" = $((64 << 20)) ]
    [ "$(cat "$folder/cpu.max")" = "50000 100000" ]
    [ "$(kubectl exec web -- cat /sys/fs/cgroup/memory.max)" = $((64 << 20)) ]
    [ "$(kubectl exec web -- cat /proc/self/cgroup)" = 0::/ ]
    ok "memory.max and cpu.max are what the pod asked for: ${folder#/sys/fs/cgroup/}"
}

"$HERE/up.sh" 1
kubectl create -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.35
    command: [httpd, -f, -p, "8080", -h, /etc]
    resources: {requests: {memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
    readinessProbe: {httpGet: {path: /passwd, port: 8080}, timeoutSeconds: 10}
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.35
    command: [dd, if=/dev/zero, of=/dev/null, bs=64M, count=1]
    resources: {limits: {memory: 16Mi}}
YAML
wait_for 60 is_ready 0 || die "the pod is not ready"
limits
wait_for 60 is_killed || die "a pod above its memory limit ended so: $(reason)"
ok "a pod above its memory limit is killed"
"$HERE/usage.sh" 1 >&2
"$HERE/node.sh" kill 1
[ -z "$(cgroup_pids node1)" ]
"$HERE/node.sh" start 1
wait_for 60 is_ready 1 || die "the pod is not ready after its node was killed and started"
limits
"$HERE/down.sh"
"$HERE/left.sh"
ok "nothing is left"
