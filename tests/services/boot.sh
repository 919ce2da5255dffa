#!/bin/bash
# Starts a systemd of its own in namespaces of its own, on this host's files with a layer of its own above them:
# boot.sh PROGRAM PACKAGING FOLDER. FOLDER is where it writes what happened. Only settings of its own network are
# changed.
set -e
program=$1 packaging=$2 folder=$3
top=$folder/top
mkdir "$top"
mount -t tmpfs tmpfs "$top"
mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root"
cd "$top/root"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mkdir tmp/net tmp/told tmp/host
mount --bind proc/sys/net tmp/net
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind tmp/net proc/sys/net
mount --bind "$folder" tmp/told
ip link set lo up
echo mounted yes > tmp/told/told

touch usr/bin/broadside
mount --bind "$program" usr/bin/broadside
units=etc/systemd/system
mkdir -p $units etc/sysusers.d etc/broadside
cp "$packaging"/*.service $units
sed -i 's/^ExecStart=.* tune apply .*/& --only tcp --only cpu\/clock_synchronised/' $units/broadside-tune.service
cp "$packaging/sysusers.conf" etc/sysusers.d/broadside.conf
systemd-sysusers --root="$PWD"
printf '[[chain]]\nname = "litecoin"\nnetwork = "regtest"\n[chain.peers]\ndiscover = false\n' > etc/broadside/config.toml

# Only what the services themselves ask for: nothing of this host is started.
for target in sysinit basic network-online; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $target > $units/$target.target
done
for service in broadside broadside-tune; do
  mkdir -p $units/$service.service.d
  printf '[Service]\nStandardOutput=append:/tmp/told/%s.log\nStandardError=append:/tmp/told/%s.log\n' \
    $service $service > $units/$service.service.d/log.conf
done
# This is a container, in which the service is not meant to run.
printf '[Unit]\nConditionVirtualization=\n' > $units/broadside-tune.service.d/container.conf
cat > $units/inside.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/bash /tmp/told/inside.sh
StandardOutput=append:/tmp/told/inside.log
StandardError=append:/tmp/told/inside.log
UNIT

echo prepared yes >> tmp/told/told
pivot_root . tmp/host
export container=other
exec /lib/systemd/systemd --system --unit=inside.service --log-target=console --show-status=no
