#!/bin/bash
# Stands in for etcd on machines that are no members: one gateway for each address in $2…, all to the members in $1.
set -euo pipefail
members=$1
shift
for address in "$@"; do
    /usr/bin/etcd gateway start "--endpoints=$members" "--listen-addr=$address" &
done
wait -n
