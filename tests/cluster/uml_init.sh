#!/usr/bin/env bash
# Process 1 of uml.sh's machine, from the kernel: twice, first to make its root, then in it. FOLDER and CLUSTER_DIR are in the environment.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
modules=/usr/lib/uml/modules/$(uname -r)

if [ ! -d /machine ]; then
    mount -t tmpfs -o size=90% tmpfs /mnt
    mkdir /mnt/{upper,work,root}
    busybox insmod "$modules/kernel/fs/overlayfs/overlay.ko"
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
    cd /mnt/root && mkdir machine && pivot_root . machine && exec chroot . "$0"
    exit
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs devtmpfs /dev
ln -sf /proc/self/fd /dev/fd
mkdir /dev/{pts,shm}
mount -t devpts devpts /dev/pts
for place in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$place"; done
mkdir -p "$FOLDER" /lib/modules
mount -t hostfs -o "$FOLDER" hostfs "$FOLDER"
hostname uml
ip link set lo up

# The kernel loads what it needs by modprobe; it has no nf_tables for IPv4.
ln -sfn "$modules" "/lib/modules/$(uname -r)"
command -v modprobe >/dev/null || ln -s /bin/busybox /sbin/modprobe
modprobe -a bridge br_netfilter veth
for program in iptables ip6tables; do update-alternatives --set $program /usr/sbin/$program-legacy >/dev/null; done

# A node's disk cannot be on an overlay.
mount -t tmpfs -o size=90% tmpfs "$CLUSTER_DIR"
cp -a "/machine$CLUSTER_DIR/bin" "$CLUSTER_DIR/"
ln -s "/machine$CLUSTER_DIR"/{store,images} "$CLUSTER_DIR/"

bash "$FOLDER/command"
echo $? >"$FOLDER/code"
busybox poweroff -f
