# shellcheck shell=bash
# Sends sidekicks a signal and looks at unit files. Safe to repeat.
#   $1 USR1|USR2: hold out, let in   $2 number of sidekicks   $3… sidekicks, then units whose files are looked at
# Prints "boot-id ID", "signalled NAME" for each that runs and heeds it, "digest NAME sha256" for each file; the last line is "end".
set -u
export LC_ALL=C SYSTEMD_COLORS=0
signal=$1 count=$2
shift 2
sidekicks=("${@:1:count}")
shift "$count"

# To systemd a sidekick is active as soon as it is a process. Until its trap is set the signal would end it.
heeds() {
  local pid caught number
  number=$(kill -l "$signal")
  for _ in {1..50}; do
    pid=$(systemctl show --property=MainPID -- "$1") && pid=${pid#MainPID=}
    caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null)
    (((16#${caught:-0} >> (number - 1)) & 1)) && return
    sleep 0.1
  done
  return 1
}

printf 'boot-id %s\n' "$(cat /proc/sys/kernel/random/boot_id)"
for name in "${sidekicks[@]}"; do
  # Not whom: the word is younger than the oldest systemd that this meets.
  systemctl is-active --quiet -- "$name" && heeds "$name" && systemctl kill --kill-who=main --signal="$signal" -- "$name" && echo "signalled $name"
done
for name in "$@"; do
  [ -f "/etc/systemd/system/$name" ] || continue
  sum=$(sha256sum < "/etc/systemd/system/$name") && printf 'digest %s %s\n' "$name" "${sum%% *}"
done
echo end
