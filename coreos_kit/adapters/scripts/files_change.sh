# shellcheck shell=bash
# Writes and removes files in a project's folder: root's alone, each replaced atomically. Safe to repeat.
#   $1 folder   stdin: a tar with what is to be written   $2… --write NAME… --remove NAME…
# The last line is "end".
set -u
export LC_ALL=C
folder=$1
shift
write=() remove=()
for word in "$@"; do
  case $word in
    --write | --remove) declare -n names=${word#--} ;;
    *) names+=("$word") ;;
  esac
done

mkdir -p -- "${folder%/*}" || exit 1
umask 077
mkdir -p -- "$folder" && chmod 0700 -- "$folder" || exit 1
rm -rf -- "$folder"/.new.* "$folder"/*/.new.* # of a run that was killed
staged=$(mktemp -d "$folder/.new.XXXXXX") || exit 1
trap 'rm -rf -- "$staged"' EXIT
tar --extract --file=- --directory="$staged" --no-same-owner || exit 1

for name in "${write[@]}"; do
  place=$folder/$name
  mkdir -p -- "${place%/*}" || exit 1
  # Copied, not moved: the new file takes the label of its own folder where SELinux is on.
  new=$(mktemp "${place%/*}/.new.XXXXXX") || exit 1
  { cat -- "$staged/$name" > "$new" && chmod 0600 -- "$new" && sync "$new" && mv -fT -- "$new" "$place"; } || exit 1
done
for name in "${remove[@]}"; do
  rm -f -- "$folder/$name" || exit 1
  [ "$folder/$name" = "$folder/${name##*/}" ] || rmdir -- "$folder/${name%/*}" 2>/dev/null # if it is empty now
done
rm -rf -- "$staged"
rmdir -- "$folder" 2>/dev/null
echo end
