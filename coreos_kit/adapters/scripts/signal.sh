# shellcheck shell=bash
# Sends sidekicks a signal and looks at unit files. Safe to repeat.
#   $1 USR1|USR2: hold out, let in   $2 number of sidekicks   $3… sidekicks, then units whose files are looked at
# Prints "boot-id ID", "signalled NAME" for each that runs, "digest NAME sha256" for each file; the last line is "end".
set -u
export LC_ALL=C SYSTEMD_COLORS=0
signal=$1 count=$2
shift 2
sidekicks=("${@:1:count}")
shift "$count"

printf 'boot-id %s\n' "$(cat /proc/sys/kernel/random/boot_id)"
for name in "${sidekicks[@]}"; do
  # Not whom: the word is younger than the oldest systemd that this meets.
  systemctl is-active --quiet -- "$name" && systemctl kill --kill-who=main --signal="$signal" -- "$name" && echo "signalled $name"
done
for name in "$@"; do
  [ -f "/etc/systemd/system/$name" ] || continue
  sum=$(sha256sum < "/etc/systemd/system/$name") && printf 'digest %s %s\n' "$name" "${sum%% *}"
done
echo end
