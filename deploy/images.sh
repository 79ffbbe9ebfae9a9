#!/usr/bin/env bash
# Builds the images histrio-node, histrio-operator and histrio-bank into docker archives, with no daemon and no registry, prints
# their sizes, and loads them into the cluster that is up.
# usage: deploy/images.sh [--from-source] [TAG=dev] [IMAGE...]
# The programs are those of build/release; with --from-source they are built in the images' own build stages, as anywhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/histrio-cluster}")
from_source=""
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

kib() { du -k "$1" | cut -f1; }
compressed_kib() { echo $(($(gzip -c "$1" | wc -c) / 1024)); }
base=$(compressed_kib "$CLUSTER_DIR/images/debian.tar")
archives=()
for image in "$@"; do
    archive=$CLUSTER_DIR/images/histrio-$image.tar
    started=$SECONDS
    tests/cluster/build_image.sh "$context" "docker.io/library/histrio-$image:$tag" "$archive" --layers \
        -f "deploy/$image.Dockerfile" --build-arg "NODE_IMAGE=docker.io/library/histrio-node:$tag"
    archives+=("$archive")
    echo "histrio-$image:$tag: $(($(kib "$archive") / 1024)) MiB, compressed and without its base image" \
        "$((($(compressed_kib "$archive") - base) / 1024)) MiB, in $((SECONDS - started)) s"
done
[ ! -f "$CLUSTER_DIR/admin.kubeconfig" ] || tests/cluster/load.sh "${archives[@]}"
