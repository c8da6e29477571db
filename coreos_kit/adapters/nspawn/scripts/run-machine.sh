#!/bin/bash
# Joins the control groups that are named before "--" and becomes what comes after it.
set -euo pipefail
while [ "$1" != -- ]; do
    echo $$ > "$1/cgroup.procs"
    shift
done
shift
exec "$@"
