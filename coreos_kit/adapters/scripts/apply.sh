# shellcheck shell=bash
# Changes one machine in one go: disable, stop, remove, write, reload once, start. Safe to repeat.
#   $1 environment file   stdin: a tar with units/NAME and environment, for what is to be written
#   $2… --disable NAME… --stop NAME… --remove NAME… --write NAME… --start NAME…
# Prints "alone" when it begins, "unit NAME" for every name under --stop, --remove and --start, "show base64" with what systemd
# says of them afterwards, "journal NAME base64" where one did not start; the last line is "end".
set -u
export LC_ALL=C SYSTEMD_COLORS=0
umask 022
environment_file=$1
shift
disable=() stop=() remove=() write=() start=()
for word in "$@"; do
  case $word in
    --disable | --stop | --remove | --write | --start) declare -n names=${word#--} ;;
    *) names+=("$word") ;;
  esac
done

units=/etc/systemd/system
wants=$units/multi-user.target.wants
# One change at a time, whoever makes it: a deploy that was interrupted may still be at work here.
exec {alone}< "$units" || exit 1
if ! flock --exclusive --timeout 240 "$alone"; then
  echo "another change of this machine was not over within 240 s" >&2
  exit 1
fi
echo alone || exit 1 # where nobody listens any more, it ends here, before anything is touched
# Staged beside its place: a rename is atomic, and a full disk is noticed before anything is stopped. What lies there by now
# was left by a power cut, or by a script that was killed.
rm -rf "$units"/.coreos-kit.*
staged=$(mktemp -d "$units/.coreos-kit.XXXXXX") || exit 1
trap 'rm -rf "$staged"' EXIT
tar --extract --file=- --directory="$staged" --no-same-owner || exit 1
for name in "${write[@]}"; do
  [ -f "$staged/units/$name" ] || { echo "$name did not arrive" >&2; exit 1; }
done

# Before it stops: a power cut in between must not bring it back.
for name in "${disable[@]}"; do
  rm -f "$wants/$name" || exit 1
done
[ ${#stop[@]} -eq 0 ] || systemctl stop -- "${stop[@]}" || exit 1

if [ -f "$staged/environment" ]; then
  mkdir -p "${environment_file%/*}" && new=$(mktemp "$environment_file.XXXXXX") || exit 1
  # Copied, not moved: the new file takes the label of its own folder where SELinux is on.
  { cat "$staged/environment" > "$new" && chmod 0644 "$new" && sync "$new" && mv -f "$new" "$environment_file"; } || exit 1
fi
mkdir -p "$wants"
for name in "${remove[@]}"; do
  rm -f "$wants/$name" "$units/$name" || exit 1
done
for name in "${write[@]}"; do
  sync "$staged/units/$name"
  # What is there and was disabled stays so, until it is started.
  [ -e "$units/$name" ] && [ ! -L "$wants/$name" ] || ln -sfn "../$name" "$wants/$name" || exit 1
  mv -f "$staged/units/$name" "$units/$name" || exit 1
done
rm -rf "$staged"
for name in "${start[@]}"; do
  [ ! -e "$units/$name" ] || ln -sfn "../$name" "$wants/$name" || exit 1
done
if [ ${#write[@]} -gt 0 ] || [ ${#remove[@]} -gt 0 ]; then
  systemctl daemon-reload || exit 1
fi
for name in "${remove[@]}" "${start[@]}"; do
  systemctl reset-failed -- "$name" 2>/dev/null
done
[ ${#start[@]} -eq 0 ] || systemctl start -- "${start[@]}" # whether it came up is said below

asked=("${stop[@]}" "${remove[@]}" "${start[@]}")
if [ ${#asked[@]} -gt 0 ]; then
  printf 'unit %s\n' "${asked[@]}"
  printf 'show %s\n' "$(systemctl show --no-pager --property=ActiveState,SubState,Result -- "${asked[@]}" | base64 -w0)"
fi
[ ${#start[@]} -eq 0 ] || paste -d ' ' <(printf '%s\n' "${start[@]}") <(systemctl is-active -- "${start[@]}") |
  while read -r name state; do
    [ "$state" != active ] || continue
    printf 'journal %s %s\n' "$name" "$(journalctl --no-pager --output=cat --lines=15 --unit="$name" 2>/dev/null < /dev/null | base64 -w0)"
  done
echo end
