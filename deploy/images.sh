#!/usr/bin/env bash
# Builds the images histrio-node, histrio-operator and histrio-bank into docker archives, with no daemon and no registry, and loads
# them into the cluster that is up.
# usage: deploy/images.sh [--sizes] [--from-source] [TAG=dev] [IMAGE...]
# The programs are those of build/release; with --from-source they are built in the images' own build stages, as anywhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/histrio-cluster}")
from_source="" sizes=""
[ "${1:-}" != --sizes ] || { sizes=yes && shift; }
[ "${1:-}" != --from-source ] || { from_source=yes && shift; }
tag=${1:-dev}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- node operator bank

context=$PWD
if [ -z "$from_source" ]; then
    cmake --preset release >/dev/null
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    mkdir -p "$context/examples"
    cp -r deploy include "$context/"
    cp -r examples/bank "$context/examples/"
    for image in "$@"; do [ "$image" = bank ] || deploy/stage.sh build/release "$context/staged/$image" "$image"; done
fi

compressed_kib() { echo $(($(gzip -c "$1" | wc -c) / 1024)); }
archives=()
for image in "$@"; do
    archive=$CLUSTER_DIR/images/histrio-$image.tar
    started=$SECONDS
    tests/cluster/build_image.sh "$context" "docker.io/library/histrio-$image:$tag" "$archive" --layers \
        -f "deploy/$image.Dockerfile" --build-arg "NODE_IMAGE=docker.io/library/histrio-node:$tag"
    archives+=("$archive")
    echo "histrio-$image:$tag in $((SECONDS - started)) s"
    [ -z "$sizes" ] || echo "    $(($(du -k "$archive" | cut -f1) / 1024)) MiB; compressed, without the base image:" \
        "$((($(compressed_kib "$archive") - $(compressed_kib "$CLUSTER_DIR/images/debian.tar")) / 1024)) MiB"
done
[ ! -f "$CLUSTER_DIR/admin.kubeconfig" ] || tests/cluster/load.sh "${archives[@]}"
