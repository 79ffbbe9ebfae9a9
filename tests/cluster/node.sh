#!/usr/bin/env bash
# node.sh kill|start|partition|heal N    and    node.sh exec N COMMAND...
#   kill       power cut: nothing of the node runs any more, its disk is kept
#   start      power on (also the first time)
#   partition  the node runs on, with no network but its own pods'
#   heal       undoes partition
#   exec       runs COMMAND in the node's namespaces
. "$(dirname "$0")/lib.sh"
[ $# -ge 2 ] || die "usage: node.sh kill|start|partition|heal N | exec N COMMAND..."
verb=$1 node=$2
shift 2
namespace=histrio-node$node link=hnode$node folder=$RUN/node$node
[ -d "$folder" ] || die "no node \"$node\""

stop() {
    ip link set "$link" down 2>/dev/null || true # first, so that no peer is told
    cgroup_kill "node$node"
    ip netns del "$namespace" 2>/dev/null || true
    ip link del "$link" 2>/dev/null || true
    rm -f "$folder/pid"
}

network() {
    local peer
    ip netns add "$namespace"
    ip link add "$link" type veth peer name eth0 netns "$namespace"
    ip link set "$link" master "$BRIDGE" up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" addr add "$(node_ip "$node")/24" dev eth0
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" route add default via "$API_IP"
    for peer in $(node_list); do # straight to the other nodes' pods
        [ "$peer" = "$node" ] || ip -n "$namespace" route add "10.244.$peer.0/24" via "$(node_ip "$peer")"
    done
    ip netns exec "$namespace" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables'
}

# The machine's id of the node's process 1.
init_pid() {
    local pid
    pid=$(cat "$folder/pid" 2>/dev/null) && awk 'NF {print $1}' "/proc/$pid/task/$pid/children" 2>/dev/null | grep .
}
has_own_cgroup_namespace() {
    local pid
    pid=$(init_pid) && [ "$(readlink "/proc/$pid/ns/cgroup")" != "$(readlink /proc/self/ns/cgroup)" ]
}

start() {
    network
    cgroup_make "node$node"
    (
        cgroup_enter "node$node"
        exec setsid nsenter --net="/run/netns/$namespace" unshare --mount --uts --cgroup --pid --fork --kill-child \
            "$HERE/node_init.sh" "$node" >"$folder/log/init.log" 2>&1 </dev/null
    ) &
    echo $! >"$folder/pid"
    wait_for 30 has_own_cgroup_namespace || die "node $node does not start: $(cat "$folder/log/init.log")"
    cgroup_node_leaf "node$node"
}

case $verb in
kill) stop ;;
start)
    stop
    start
    ;;
partition) ip link set "$link" down ;;
heal) ip link set "$link" up ;;
exec)
    pid=$(init_pid) || die "node $node is down"
    exec nsenter --target "$pid" --net --mount --uts --pid --cgroup "$@"
    ;;
*) die "no verb \"$verb\"" ;;
esac
