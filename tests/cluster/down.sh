#!/usr/bin/env bash
# Ends all that up.sh started, and leaves the machine as it was.
. "$(dirname "$0")/lib.sh"
cgroup_kill
for namespace in $(ip netns list | awk '/^histrio-node/ {print $1}'); do ip netns del "$namespace"; done
for link in $(ip -o link show | sed -n 's/^[0-9]*: \(hnode[0-9]*\)[@:].*/\1/p') "$BRIDGE"; do
    ip link del "$link" 2>/dev/null || true
done
[ ! -f "$RUN/sysctl" ] || sysctl -qp "$RUN/sysctl"
! cgroup_is_pure_v2 || cgroup_restore
rm -rf "$RUN" "$ADMIN_KUBECONFIG"
