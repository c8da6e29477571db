# shellcheck shell=bash
# Says which files lie in a project's folder, each with its keyed digest, never with its content. Changes nothing.
#   $1 folder
# Prints "key HEX", "file DIGEST NAME" with the name in base64 ("-" for one that is not root's alone); the last line is "end".
set -u
export LC_ALL=C
cd -- "$1" 2>/dev/null || { echo end; exit 0; }

is_roots_alone() { [ "$(stat -c '%a %u %F' -- "$1" 2>/dev/null)" = "600 0 regular file" ]; }

key=
is_roots_alone digest.key && read -r key < digest.key
[[ $key =~ ^[0-9a-f]{64}$ ]] && echo "key $key" || key=

# HMAC-SHA256 (RFC 2104) of the standard input. The key stays inside this shell: as an argument, ps would show it.
inner='' outer=''
for ((at = 0; at < 64; at++)); do
  byte=0
  [ -z "${key:2 * at:2}" ] || byte=$((16#${key:2 * at:2}))
  printf -v inner '%s\\x%02x' "$inner" $((byte ^ 0x36))
  printf -v outer '%s\\x%02x' "$outer" $((byte ^ 0x5c))
done
digest() {
  local hash
  hash=$({ printf %b "$inner"; cat; } | sha256sum)
  # shellcheck disable=SC2001 # & in a substitution of bash's own is of 2022
  hash=$({ printf %b "$outer"; printf %b "$(sed 's/../\\x&/g' <<< "${hash%% *}")"; } | sha256sum)
  printf %s "${hash%% *}"
}

while IFS= read -r -d '' name; do
  said=-
  [ -n "$key" ] && is_roots_alone "$name" && said=$(digest < "$name")
  printf 'file %s %s\n' "$said" "$(printf %s "$name" | base64 -w0)"
done < <(find . -type f ! -name digest.key ! -path '*/.new.*' -printf '%P\0' | sort -z)
echo end
