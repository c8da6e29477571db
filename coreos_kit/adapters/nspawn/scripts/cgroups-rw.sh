#!/bin/bash
# Runs early in a machine. systemd-nspawn mounts the controllers of cgroup version 1 read-only, and Docker's runc then
# can't make its groups. With version 2 the machine's own tree is writable and there is nothing to do.
set -euo pipefail
[ "$(stat --file-system --format %T /sys/fs/cgroup)" != cgroup2fs ] || exit 0
for controller in /sys/fs/cgroup/*/; do
    mount -o remount,bind,rw "$controller"
done
