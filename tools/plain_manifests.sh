#!/usr/bin/env bash
# deploy/manifests from the charts, for those who have no Helm: crds.yaml and operator.yaml (in namespace histrio).
# usage: tools/plain_manifests.sh [--check]      --check: fails when they are not current
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/histrio-cluster}
helm=$(command -v helm || echo "$cache/bin/helm")
[ -x "$helm" ] || { echo "no helm: install it, or run ./dev cluster build" >&2; exit 1; }

# The version only says what the templates may use. Standard error tells of the link to the definitions.
render() { # chart, arguments
    "$helm" template histrio "$@" --namespace histrio --kube-version 1.34.0 --skip-tests 2>/dev/null |
        sed -e '/helm.sh\/chart:/d' -e 's/app.kubernetes.io\/managed-by: Helm/app.kubernetes.io\/managed-by: kubectl/'
}

folder=deploy/manifests
if [ "${1:-}" = --check ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
{
    echo "# Written by tools/plain_manifests.sh from charts/histrio-crds: kubectl apply --server-side -f crds.yaml"
    render charts/histrio-crds
} >"$folder/crds.yaml"
{
    echo "# Written by tools/plain_manifests.sh from charts/histrio, after crds.yaml: kubectl apply -f operator.yaml"
    cat <<'YAML'
---
apiVersion: v1
kind: Namespace
metadata:
  name: histrio
  labels:
    pod-security.kubernetes.io/enforce: restricted
YAML
    render charts/histrio --set crds.enabled=false
} >"$folder/operator.yaml"

if [ "${1:-}" = --check ] && ! diff -ru deploy/manifests "$folder"; then
    echo "deploy/manifests are not what the charts say: run tools/plain_manifests.sh" >&2
    exit 1
fi
