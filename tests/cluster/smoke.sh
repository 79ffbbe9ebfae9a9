#!/usr/bin/env bash
# Is the cluster that is up (up.sh 3) sound, from end to end? Leaves nothing of its own in it.
. "$(dirname "$0")/lib.sh"
export KUBECONFIG=$ADMIN_KUBECONFIG
SMOKE=$HERE/smoke
in_smoke() { kubectl -n smoke "$@"; }
ok() { log "ok: $*"; }
set -E
trap 'log "failed: line $LINENO: $BASH_COMMAND"' ERR
clean() {
    kubectl delete namespace smoke smoke-restricted --ignore-not-found >/dev/null
    kubectl delete crd widgets.smoke.test --ignore-not-found >/dev/null
}
trap clean EXIT

image() {
    [ -f "$IMAGES/smoke-tools.tar" ] ||
        "$HERE/build_image.sh" "$SMOKE/image" docker.io/library/smoke-tools:1 "$IMAGES/smoke-tools.tar"
    "$HERE/load.sh" "$IMAGES/smoke-tools.tar"
    ok "a Dockerfile with apt-get is built, and loaded"
}

network() {
    local from address
    for from in $(in_smoke get pods -l app=web -o name); do
        for address in $(in_smoke get pods -l app=web -o jsonpath='{.items[*].status.podIP}'); do
            in_smoke exec "$from" -- timeout 3 wget -qO- "http://$address:8080/" >/dev/null
        done
        in_smoke exec "$from" -- timeout 3 wget -qO- "http://$(in_smoke get svc web -o jsonpath='{.spec.clusterIP}')/" >/dev/null
        in_smoke logs "$from" | grep serving >/dev/null
    done
    ok "exec, logs, pod to pod and pod to Service, from and to each of 6 pods"
    # shellcheck disable=SC2016 # expanded in the pod
    in_smoke exec tools -- sh -c 'folder=/var/run/secrets/kubernetes.io/serviceaccount
        curl -sS --cacert $folder/ca.crt -H "Authorization: Bearer $(cat $folder/token)" https://10.96.0.1/api/v1/namespaces/smoke/pods' |
        grep 'system:serviceaccount:smoke:default' >/dev/null
    ok "the API server at 10.96.0.1 knows a pod's service account"
    in_smoke exec tools -- curl -sS -m 3 http://web.smoke.svc.cluster.local/ >/dev/null
    ok "a Service's name resolves"
}

charts() {
    local refused
    helm -n smoke install tiny "$SMOKE/chart" --wait >/dev/null
    refused=$(printf 'apiVersion: smoke.test/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 0}\n' | in_smoke apply -f - 2>&1 || true)
    grep -q 'greater than or equal to 1' <<<"$refused"
    helm -n smoke upgrade tiny "$SMOKE/chart" --set replicas=2 --wait >/dev/null
    [ "$(in_smoke get deploy tiny -o jsonpath='{.status.readyReplicas}')" = 2 ]
    helm -n smoke uninstall tiny --wait >/dev/null
    ok "helm install (with a CRD), upgrade, uninstall"
}

is_restarted() { [ "$(in_smoke get pod sick -o jsonpath='{.status.containerStatuses[0].restartCount}')" -ge 1 ]; }

restricted() {
    kubectl -n smoke-restricted wait --for=condition=Ready pod/strict --timeout=30s >/dev/null
    kubectl -n smoke-restricted logs strict | grep 'Read-only file system' >/dev/null
    if kubectl -n smoke-restricted run root --image=busybox:1.35 >/dev/null 2>&1; then die "Pod Security lets a lax pod in"; fi
    ok "Pod Security: restricted"
}

image
kubectl create namespace smoke >/dev/null
wait_for 20 in_smoke get serviceaccount default
in_smoke apply -f "$SMOKE/pods.yaml" >/dev/null
kubectl apply -f "$SMOKE/restricted.yaml" >/dev/null
in_smoke rollout status deploy/web --timeout=60s >/dev/null
in_smoke wait --for=condition=Ready pod/tools --timeout=60s >/dev/null
ok "web: $(in_smoke get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}' | tr ' ' '\n' | sort | uniq -c | tr -s ' \n' ' ')"
network
charts
wait_for 60 is_restarted
ok "a failing livenessProbe restarts its container"
restricted
