#!/usr/bin/env bash
# load.sh ARCHIVE...: imports docker archives into the containerd of every node that is up.
. "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] || die "usage: load.sh ARCHIVE..."
pids=()
for node in $(node_list); do
    [ -f "$RUN/node$node/pid" ] || continue
    for archive in "$@"; do
        "$HERE/node.sh" exec "$node" ctr -n k8s.io images import - <"$archive" >/dev/null &
        pids+=($!)
    done
done
[ ${#pids[@]} -gt 0 ] || die "no node is up"
wait_all "${pids[@]}"
