# shellcheck shell=bash disable=SC2016 # the inner bash expands
# Waits on the machine until units are active and backends answer; says how it went. Changes nothing.
#   $1 seconds  $2 number of checks  $3… checks, each as kind|host:port|path|seconds, then units
# Prints "unit NAME" and what systemd says of all, "show base64", "backend yes|no", "journal NAME base64" where it did not come;
# the last line is "end".
set -u
export LC_ALL=C SYSTEMD_COLORS=0
seconds=$1 count=$2
shift 2
checks=("${@:1:count}")
shift "$count"

answers() {
  local check kind address path check_s
  for check in "${checks[@]}"; do
    IFS='|' read -r kind address path check_s <<< "$check"
    case $kind in
      http) curl --silent --fail --output /dev/null --max-time "$check_s" --noproxy '*' "http://$address$path" ;;
      tcp) timeout "$check_s" bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$address" 2>/dev/null ;;
    esac || return 1
  done
}
# What has failed may be about to start again, where something that it waits for starts first: then it has a job.
given_up() {
  systemctl is-failed --quiet -- "$@" &&
    systemctl show --property=ActiveState,Job -- "$@" | awk -v RS= '/ActiveState=failed/ && !/Job=[1-9]/ {found = 1} END {exit !found}'
}

# is-active is satisfied by any one of them.
active() { [ "$(systemctl show --property=ActiveState -- "$@" | grep -c '^ActiveState=active$')" -eq $# ]; }

# Without a check there is only systemd's word, and "active" is true for a moment of a unit that fails at once.
steady() {
  local before up
  [ ${#checks[@]} -eq 0 ] || return 0
  # What has been active for a second has shown it already.
  read -r up _ < /proc/uptime
  systemctl show --property=ActiveEnterTimestampMonotonic -- "$@" |
    awk -F= -v up="$up" '$1 == "ActiveEnterTimestampMonotonic" && $2 > (up - 1) * 1000000 {young = 1} END {exit young}' && return 0
  before=$(systemctl show --property=MainPID,NRestarts -- "$@")
  sleep 1
  active "$@" && [ "$before" = "$(systemctl show --property=MainPID,NRestarts -- "$@")" ]
}

# Not $SECONDS, which follows the clock: a machine that has just come up may still set its own.
now() {
  read -r now _ < /proc/uptime
  now=${now%.*}
}

now
deadline=$((now + seconds)) backend=no
while :; do
  if active "$@" && answers && steady "$@"; then backend=yes; break; fi
  given_up "$@" && break
  now
  [ "$now" -lt $deadline ] || break
  sleep 0.2
done
[ $# -eq 0 ] || printf 'unit %s\n' "$@"
[ $# -eq 0 ] || printf 'show %s\n' "$(systemctl show --no-pager --property=ActiveState,SubState,Result -- "$@" | base64 -w0)"
for name in "$@"; do
  [ $backend = yes ] ||
    printf 'journal %s %s\n' "$name" "$(journalctl --no-pager --output=cat --lines=15 --unit="$name" 2>/dev/null | base64 -w0)"
done
echo "backend $backend"
echo end
