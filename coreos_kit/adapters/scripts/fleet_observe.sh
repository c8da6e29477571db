# shellcheck shell=bash disable=SC2016 # what xargs runs is expanded there
# One look at fleet through its own lists, as the SSH user; changes nothing.
#   stdin: hashes of texts that are known already, one a line
# Prints "fleetctl VERSION|missing", each list as "KEY base64", "text HASH base64" once for each hash that is not known,
# "failed COMMAND base64" for what fleetctl could not say; the last line is "end".
set -u
export LC_ALL=C
unset "${!FLEETCTL_@}"
command -v fleetctl > /dev/null || { echo 'fleetctl missing'; echo end; exit; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" && cat > known || exit 1

version=$(timeout 10 fleetctl version 2> /dev/null)
printf 'fleetctl %s\n' "${version##* }"

# fleetctl of 0.13 and later ends with 0 where it did not understand: then it has only complained.
ask() {
  local key=$1
  shift
  if ! timeout 20 fleetctl "$@" > "$key" 2> "$key.said" || { [ ! -s "$key" ] && [ -s "$key.said" ]; }; then
    touch "$key.failed"
  fi
}
ask machines list-machines --full --no-legend --fields=machine,ip,metadata &
ask units list-units --full --no-legend --fields=unit,machine,load,active,sub,hash &
ask registry list-unit-files --full --no-legend --fields=unit,hash,dstate,state,target &
wait
for key in machines registry units; do
  if [ -e $key.failed ]; then
    printf 'failed %s %s\n' $key "$(base64 -w0 < $key.said)"
  else
    printf '%s %s\n' $key "$(base64 -w0 < $key)"
  fi
done
[ -e registry ] || { echo end; exit; }

# Instances of a template share text and hash. Eight at a time: each is a program that asks the daemon once.
awk 'FILENAME == "known" {seen[$1]; next} !($2 in seen) {seen[$2]; print $2; print $1}' known registry |
  xargs --delimiter='\n' --max-args=2 --max-procs=8 --no-run-if-empty \
    bash -c 'timeout 20 fleetctl cat -- "$2" > "text.$1" 2> "said.$1" || touch "failed.$1"' cat
for file in text.*; do
  [ -e "$file" ] || continue
  hash=${file#text.}
  if [ -e "failed.$hash" ]; then
    printf 'failed cat %s\n' "$(base64 -w0 < "said.$hash")"
  else
    printf 'text %s %s\n' "$hash" "$(base64 -w0 < "$file")"
  fi
done
echo end
