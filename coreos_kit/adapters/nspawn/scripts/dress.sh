#!/bin/bash
# Runs in a machine whose files have just been changed to another profile's: ends etcd under every name (systemd
# still knows the old units, ExecStop included, until it reloads) and starts it under the one in $1.
# Does not wait: etcd needs the other members, which are being changed too.
set -euo pipefail
for unit in etcd.service etcd-member.service; do
    if systemctl --quiet is-active "$unit" || [ "$(systemctl show --property ActiveState --value "$unit")" != inactive ]; then
        systemctl stop "$unit"
    fi
done
systemctl daemon-reload
systemctl reset-failed
systemctl start --no-block "$1"
