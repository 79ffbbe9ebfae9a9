#!/usr/bin/env bash
# Builds Kubernetes, etcd, Helm, kwok and CoreDNS from the Go module proxy. What a group of binaries is made of (modules, flags,
# Go) is its key in store/; a group whose key is there is not built again. bin/ has links to the current ones.
. "$(dirname "$0")/lib.sh"
KUBE=v1.34.4
HELM=v3.19.5
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
mkdir -p "$BIN" "$CLUSTER_DIR/store"
exec 9>"$CLUSTER_DIR/build.lock"
flock 9 # one builds, the others find it built
go=$("$HERE/go_toolchain.py" "$CLUSTER_DIR/go")

# build FOLDER LINK-FLAGS PACKAGE=BINARY...
build() {
    local folder=$1 flags="-s -w $2" key place started=$SECONDS output pair old
    shift 2
    key=$({
        cat "$HERE/$folder"/{go.mod,go.sum,*.go}
        echo "$flags $GOFLAGS $* $("$go" version)"
    } | sha256sum | cut -c1-16)
    place=$CLUSTER_DIR/store/$folder-$key
    if [ ! -d "$place" ]; then
        rm -rf "$place.new"
        mkdir "$place.new"
        output=$place.new/ # several packages: each binary is called as its package
        [ $# -gt 1 ] || output+=${1#*=}
        (cd "$HERE/$folder" && "$go" build -ldflags "$flags" -o "$output" "${@%=*}")
        mv "$place.new" "$place"
        for old in "$CLUSTER_DIR/store/$folder"-*; do [ "$old" = "$place" ] || rm -rf "$old"; done
        log "built $folder in $((SECONDS - started)) s"
    fi
    for pair in "$@"; do ln -sfT "$place/${pair#*=}" "$BIN/${pair#*=}"; done
}

flags=""
minor=${KUBE#v1.}
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$KUBE -X $package.gitMajor=1 -X $package.gitMinor=${minor%.*} -X $package.gitTreeState=clean"
done
kube=()
for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    kube+=("k8s.io/kubernetes/cmd/$program=$program")
done
build kube "$flags" "${kube[@]}"
build etcd "" go.etcd.io/etcd/server/v3=etcd
build kwok "" sigs.k8s.io/kwok/cmd/kwok=kwok
build helm "-X helm.sh/helm/v3/internal/version.version=$HELM" helm.sh/helm/v3/cmd/helm=helm
build coredns "" .=coredns
