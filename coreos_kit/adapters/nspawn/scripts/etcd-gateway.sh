#!/bin/bash
# Stands in for etcd on machines that are no members: one gateway for each address in $2…, all to the members in $1.
# A member that did not answer is tried again after a second; the default is a minute.
set -euo pipefail
members=$1
shift
trap "exit 0" TERM # as PID 1 of a container it would otherwise not heed it
for address in "$@"; do
    /usr/bin/etcd gateway start --retry-delay=1s "--endpoints=$members" "--listen-addr=$address" &
done
wait -n
