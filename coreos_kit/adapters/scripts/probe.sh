# shellcheck shell=bash disable=SC2016 # the inner bash expands
# Looks at a balancer from its own machine: its running pool, the backends' health, requests sent through it.
#   $1 engine  $2 container, "" for none  $3 address:port of the balancer  $4 nonce  $5 number of requests
#   $6… backends, each as kind|address|path|seconds
# Prints "pool base64", "pool-error base64", "backend ADDRESS yes|no base64", "code HTTP", "log base64"; the last line is "end".
set -u
export LC_ALL=C
engine=$1 container=$2 balancer=$3 nonce=$4 requests=$5
shift 5

if [ -z "$container" ]; then
  : # no balancer here
elif pool=$(timeout 5 "$engine" exec "$container" /usr/local/bin/confd-watch --show 2>&1); then
  printf 'pool %s\n' "$(base64 -w0 <<< "$pool")"
else
  printf 'pool-error %s\n' "$(base64 -w0 <<< "$pool")"
fi

check() {
  local kind address path check_s said=
  IFS='|' read -r kind address path check_s <<< "$1"
  case $kind in
    http) said=$(curl --silent --show-error --fail --output /dev/null --max-time "$check_s" --noproxy '*' "http://$address$path" 2>&1) ;;
    *) said=$(timeout "$check_s" bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$address" 2>&1) ;;
  esac && echo "backend $address yes -" || echo "backend $address no $(base64 -w0 <<< "${said:-no answer within $check_s s}")"
}
for backend in "$@"; do check "$backend" & done
wait

if [ "$requests" -gt 0 ]; then
  since=$(date +%s)
  curl --silent --output /dev/null --write-out 'code %{http_code}\n' --max-time 10 --noproxy '*' \
    "http://$balancer/?coreos-kit-verify=$nonce&n=[1-$requests]"
  for _ in 1 2 3 4 5 6 7 8 9 10; do # the log passes through the engine: it may lag behind the answer
    log=$(timeout 5 "$engine" logs --since "$since" "$container" 2>&1 | grep -F -- "coreos-kit-verify=$nonce")
    [ "$(grep -c . <<< "$log")" -ge "$requests" ] && break
    sleep 0.1
  done
  printf 'log %s\n' "$(base64 -w0 <<< "$log")"
fi
echo end
