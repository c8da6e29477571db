# shellcheck shell=bash disable=SC2016 # the inner bash expands
# Looks at a balancer from its own machine: its running pool, the backends' health, requests sent through it.
#   $1 engine  $2 container, "" for none  $3 address:port of the balancer  $4 nonce  $5 number of requests
#   $6 seconds for all requests together  $7… backends, each as kind|address|path|seconds
# Prints "pool base64", "pool-error base64", "backend ADDRESS yes|no base64", "code HTTP" for each request that came to its end,
# "log base64", "log-error base64"; the last line is "end".
set -u
export LC_ALL=C
engine=$1 container=$2 balancer=$3 nonce=$4 requests=$5 requests_s=$6
shift 6

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
  # One connection, so one worker of Nginx, which sends to each in turn. Requests that hang must not keep the rest of what
  # was seen from being told, nor the codes of those before them, which curl would hold back.
  unbuffered=()
  ! command -v stdbuf > /dev/null || unbuffered=(stdbuf --output=L)
  timeout "$requests_s" "${unbuffered[@]}" curl --silent --output /dev/null --write-out 'code %{http_code}\n' --max-time 10 --noproxy '*' \
    "http://$balancer/?coreos-kit-verify=$nonce&n=[1-$requests]"
  for _ in 1 2 3 4 5 6 7 8 9 10; do # the log passes through the engine: it may lag behind the answer
    log=$(timeout 5 "$engine" logs --since "$since" "$container" 2>&1 | grep -F -- "coreos-kit-verify=$nonce"; exit "${PIPESTATUS[0]}")
    ended=$?
    { [ "$ended" -eq 0 ] && [ "$(grep -c . <<< "$log")" -lt "$requests" ]; } || break
    sleep 0.1
  done
  printf 'log %s\n' "$(base64 -w0 <<< "$log")"
  [ "$ended" -eq 0 ] || printf 'log-error %s\n' "$(timeout 5 "$engine" logs --tail 1 "$container" 2>&1 | tail -n 1 | base64 -w0)"
fi
echo end
