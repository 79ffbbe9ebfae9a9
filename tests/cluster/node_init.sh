#!/usr/bin/env bash
# node_init.sh N: process 1 of node N, in the node's own network, PID, mount, UTS and cgroup namespaces. Makes the node's own
# view of the file system, then keeps containerd, kubelet and kube-proxy running, as systemd would.
. "$(dirname "$0")/lib.sh"
node=$1 folder=$RUN/node$1
hostname "node$node"

mount --make-rprivate /
mount -t proc proc /proc
hierarchies=$(awk '$3 == "cgroup" || $3 == "cgroup2" {print $3, $2, $4}' /proc/mounts)
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
while read -r type place options; do
    mkdir -p "$place"
    options=$(tr ',' '\n' <<<"$options" |
        grep -vE '^(ro|rw|nosuid|nodev|noexec|(no|rel)atime|nsdelegate|favordynmods|memory_(recursiveprot|localevents|hugetlb_accounting))$' | paste -sd, || true)
    mount -t "$type" ${options:+-o "$options"} none "$place"
done <<<"$hierarchies"
wait_for 30 cgroup_node_is_ready || die "node $node: its cgroup is not ready"

# What a machine has of its own: /run is gone with the power, the rest is its disk.
mount -t tmpfs -o mode=755 tmpfs /run
for place in /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/log/pods /var/log/containers /mnt /srv; do
    mkdir -p "$place" "$folder/disk$place"
    mount --bind "$folder/disk$place" "$place"
done
# The kubelet wants to know the processor's clock; User Mode Linux does not tell it.
if ! grep -q 'cpu MHz' /proc/cpuinfo; then
    { cat /proc/cpuinfo && echo 'cpu MHz : 1000.000'; } >/run/cpuinfo
    mount --bind /run/cpuinfo /proc/cpuinfo
fi
mount --make-rshared /

keep() { # NAME COMMAND...
    local name=$1
    shift
    while :; do
        "$@" >>"$folder/log/$name.log" 2>&1 </dev/null || true
        sleep 1
    done
}
keep containerd containerd --config "$folder/containerd.toml" &
keep kubelet kubelet --config="$folder/kubelet.yaml" --kubeconfig="$folder/kubelet.kubeconfig" \
    --hostname-override="node$node" --node-ip="$(node_ip "$node")" --node-labels="topology.kubernetes.io/zone=zone$node" --v=1 &
keep kube-proxy kube-proxy --config="$folder/kube-proxy.yaml" --v=1 &
while :; do
    wait || true
    sleep 1
done
