#!/bin/bash
# Runs in a machine that is to carry another profile's names: ends etcd under whichever name it runs. Comes before the
# files change, because a unit's ExecStop may need what the next profile takes away.
set -euo pipefail
for unit in etcd.service etcd-member.service; do
    state=$(systemctl show --property ActiveState --value "$unit")
    [ "$state" = inactive ] || systemctl stop "$unit"
done
