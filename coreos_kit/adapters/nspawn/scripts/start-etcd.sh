#!/bin/bash
# Runs in a machine after its files have changed: starts etcd under the name in $1.
# Does not wait: etcd needs the other members, which are being changed too.
set -euo pipefail
systemctl daemon-reload
systemctl reset-failed
systemctl start --no-block "$1"
