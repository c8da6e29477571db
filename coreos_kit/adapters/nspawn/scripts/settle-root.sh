#!/bin/bash
# Turns a Debian with the lab's packages into the root that all machines of all labs share.
# Runs inside it. What differs between machines is written when a machine is made.
set -euo pipefail

rm -f /usr/sbin/policy-rc.d /etc/machine-id /etc/ssh/ssh_host_*

# The lab's own units decide what runs, and under which name.
systemctl --quiet disable etcd docker-registry docker containerd e2scrub_reap.service 2>/dev/null || true
rm -f /lib/systemd/system/{etcd,docker-registry}.service /etc/systemd/system/etcd2.service
rm -f /etc/init.d/{etcd,docker,docker-registry} /etc/rc?.d/*  # systemd would make units of them
: > /etc/default/locale  # PAM reads it at every login, and complains
systemctl --quiet mask console-getty.service getty.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    systemd-timesyncd.service systemd-pstore.service modprobe@drm.service modprobe@loop.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount nftables.service
systemctl --quiet enable systemd-networkd.service ssh.service

# Not every system has these; a profile puts them where that system has them, or nowhere.
mkdir -p /usr/lib/coreos-kit-lab
mv /usr/bin/etcdctl /usr/lib/coreos-kit-lab/etcdctl

useradd --create-home --shell /bin/bash --groups sudo,docker,systemd-journal core
install -d -o core -g core -m 700 /home/core/.ssh
echo 'core ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/core
chmod 440 /etc/sudoers.d/core

cat > /etc/ssh/sshd_config.d/lab.conf <<'EOF'
# A test suite opens many sessions at once; the defaults (10, and refusals from the 10th login on) are for people.
MaxSessions 500
MaxStartups 500
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
PermitRootLogin no
UseDNS no
EOF

mkdir -p /var/lib/containers /var/lib/docker-registry
