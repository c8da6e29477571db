#!/bin/bash
# Installs packages into the root file system that it runs in. Download and unpacking are told apart, so that
# the time of each can be said. $1 "download" or "unpack", then the packages.
set -euo pipefail
step=$1
shift
export DEBIAN_FRONTEND=noninteractive
if [ "$step" = download ]; then
    apt-get -q update
    apt-get -q -y --no-install-recommends --download-only install "$@"
    exit
fi
apt-get -q -y --no-install-recommends install "$@"
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/log/*.log /var/log/apt
