# Waits on the machine until units are active and a backend answers; says how it went. Changes nothing.
#   $1 seconds  $2 check: http|tcp|none  $3 host:port  $4 path  $5 seconds for one check  $6… units
# Prints "unit NAME base64", "backend yes|no", "journal NAME base64" where it did not come; the last line is "end".
set -u
export LC_ALL=C SYSTEMD_COLORS=0
seconds=$1 kind=$2 address=$3 path=$4 check_s=$5
shift 5

answers() {
  case $kind in
    http) curl --silent --fail --output /dev/null --max-time "$check_s" --noproxy '*' "http://$address$path" ;;
    tcp) timeout "$check_s" bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$address" 2>/dev/null ;;
    *) true ;;
  esac
}
active() {
  local name
  for name in "$@"; do systemctl is-active --quiet -- "$name" || return 1; done
}

deadline=$((SECONDS + seconds)) backend=no
while :; do
  if active "$@" && answers; then backend=yes; break; fi
  systemctl is-failed --quiet -- "$@" && break
  [ $SECONDS -lt $deadline ] || break
  sleep 0.2
done
for name in "$@"; do
  printf 'unit %s %s\n' "$name" "$(systemctl show --no-pager --property=ActiveState,SubState,Result -- "$name" | base64 -w0)"
  [ $backend = yes ] ||
    printf 'journal %s %s\n' "$name" "$(journalctl --no-pager --output=cat --lines=15 --unit="$name" 2>/dev/null | base64 -w0)"
done
echo "backend $backend"
echo end
