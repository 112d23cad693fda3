#!/bin/sh
# The first process of a node: creates the node's view of the file system, then becomes its init.
# It runs in its own mount, network, pid, uts, ipc and cgroup namespaces (see node.py), like a node of kind.
# usage: node-init.sh NAME STATE INIT_PROGRAM
set -eu
name=$1 state=$2 init=$3 node=$2/nodes/$1

# /proc is still the machine's: it shows our pid in the machine's pid namespace.
read -r pid _ < /proc/self/stat
echo "$pid" > "$node/init.pid"

mount --make-rprivate /
hostname "$name"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/state /run/netns /run/lock /run/lab
mount --bind "$state" /run/state

# In a cgroup namespace a fresh mount shows the node's own cgroup as the root.
if [ -e "$node/cgroup2-only" ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    while IFS=: read -r _ controllers _; do
        case $controllers in
            '') dir=unified fstype=cgroup2 options=rw ;;
            name=*) dir=${controllers#name=} fstype=cgroup options=none,$controllers ;;
            *) dir=$controllers fstype=cgroup options=$controllers ;;
        esac
        mkdir -p "/sys/fs/cgroup/$dir"
        mount -t "$fstype" -o "$options" "$fstype" "/sys/fs/cgroup/$dir"
    done < /proc/self/cgroup
fi

# The machine's directories with a writable overlay per node: writes of a node do not reach the machine.
for dir in etc opt var; do
    mkdir -p "/run/lab/$dir/upper" "/run/lab/$dir/work"
    mount -t overlay -o "lowerdir=/$dir,upperdir=/run/lab/$dir/upper,workdir=/run/lab/$dir/work" overlay "/$dir"
done
mount --bind /run/state "$state"
umount /run/state
for dir in /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers; do
    mkdir -p "$node$dir" "$dir"
    mount --bind "$node$dir" "$dir"
done
rm -rf /etc/cni /opt/cni
mkdir -p /etc/cni/net.d /opt/cni/bin

echo "$name" > /etc/hostname
cp "$node/machine-id" /etc/machine-id
mount --bind "$node/boot-id" /proc/sys/kernel/random/boot_id
mount --make-rshared /

touch "$node/ready"
exec "$init"
