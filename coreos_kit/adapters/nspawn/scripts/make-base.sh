#!/bin/bash
# Makes the smallest Debian in a folder: what the base image holds and what the machines' root is built on.
# $1 folder, $2 suite, $3 mirror, $4 sources.list, $5 apt's settings, $6 "download" or "unpack"
set -euo pipefail
folder=$1 suite=$2 mirror=$3 sources=$4 settings=$5 step=$6

if [ "$step" = download ]; then
    debootstrap --variant=minbase --merged-usr --download-only "$suite" "$folder" "$mirror"
    exit
fi
debootstrap --variant=minbase --merged-usr "$suite" "$folder" "$mirror"

printf '%s' "$sources" > "$folder/etc/apt/sources.list"
printf '%s' "$settings" > "$folder/etc/apt/apt.conf.d/50workstation"
: > "$folder/etc/resolv.conf"
echo localhost > "$folder/etc/hostname"

# As in Docker's own Debian images: no services started by package scripts, no fsync for each file, no manuals.
printf '#!/bin/sh\nexit 101\n' > "$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
echo force-unsafe-io > "$folder/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' \
    > "$folder/etc/dpkg/dpkg.cfg.d/docker"
printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };' \
    > "$folder/etc/apt/apt.conf.d/docker-clean"
rm -rf "$folder"/usr/share/{doc,man,info,locale}/* "$folder"/var/cache/apt/{archives/*.deb,*.bin} \
    "$folder"/var/lib/apt/lists/* "$folder"/var/cache/debconf/*-old "$folder"/var/log/* "$folder"/etc/machine-id
mkdir -p "$folder/var/lib/apt/lists/partial"
