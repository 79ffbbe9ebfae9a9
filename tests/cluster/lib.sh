# Settings and helpers of the scripts of this folder, which source it.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/histrio-cluster}")
BIN=$CLUSTER_DIR/bin       # what build.sh makes: links into store/
IMAGES=$CLUSTER_DIR/images # what images.sh makes: docker archives
RUN=$CLUSTER_DIR/run       # the cluster that is up; down.sh removes it
ADMIN_KUBECONFIG=$CLUSTER_DIR/admin.kubeconfig
BRIDGE=histrio0 API_IP=10.88.0.1 DNS_IP=10.88.0.1
PATH=$BIN:$PATH:/usr/sbin:/sbin
# shellcheck source=cgroup.sh
. "$HERE/cgroup.sh"

log() { printf '%s cluster: %s\n' "$(date +%T)" "$*" >&2; }
die() {
    log "$*"
    exit 1
}
admin() { kubectl --kubeconfig "$ADMIN_KUBECONFIG" "$@"; }
node_ip() { echo "10.88.0.$((10 + $1))"; }
node_list() {
    local folder
    for folder in "$RUN"/node[0-9]*; do [ ! -d "$folder" ] || echo "${folder##*/node}"; done | sort -n
}

# wait_for SECONDS COMMAND...: until COMMAND succeeds. On a slow machine: PATIENCE times as long.
wait_for() {
    local end=$((SECONDS + $1 * ${PATIENCE:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# wait_all PID...: fails when one of them failed.
wait_all() {
    local pid code=0
    for pid in "$@"; do wait "$pid" || code=1; done
    return $code
}

# daemon NAME COMMAND...: in the control plane's cgroup, with a log, a pid file, and the command for part.sh to start it again.
daemon() {
    local name=$1
    shift
    printf '%q ' "$@" >"$RUN/$name.command"
    (
        cgroup_enter control-plane
        cd "$RUN/pki"
        exec setsid "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null
    ) &
    echo $! >"$RUN/$name.pid"
}
