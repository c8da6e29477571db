# shellcheck shell=bash disable=SC1091
# One snapshot of a machine, as lines of words; whatever came from elsewhere is base64. Changes nothing.
#   $1 engine  $2 etcd unit  $3 environment file  $4… names of units to look at beside the kit's own
# The last line is "end": a snapshot without it is not whole, and is thrown away.
set -u
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 # UTC: a unit's start is compared with the time of its file
engine=$1 etcd_unit=$2 environment_file=$3
shift 3
cd /etc/systemd/system || exit 1

encoded() { printf '%s ' "$1"; base64 -w0; echo; }

printf 'machine-id %s\n' "$(cat /etc/machine-id)"
printf 'boot-id %s\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'clock %s\n' "$(date +%s.%N)"
(. /etc/os-release && printf '%s' "${PRETTY_NAME:-}") 2>/dev/null | encoded release
ip -o -4 addr show scope global | encoded addresses
ip -o -4 route get 192.0.2.1 2>/dev/null | encoded route # asks the routing table; sends nothing
[ -f "$environment_file" ] && encoded environment < "$environment_file"
printf 'etcd %s\n' "$(systemctl show --property=ActiveState "$etcd_unit" | head -c 200 | cut -d= -f2)" # whatever answers as systemctl

# Files first, so that a unit that systemd has not read yet is seen as well. A template is no unit, and systemctl stops at one.
mapfile -t names < <({ grep -slF '[X-CoreosKit]' -- *.* 2>/dev/null; printf '%s\n' "$@"; } | sort -u | sed '/^$/d; /@\.[a-z]*$/d')
files=()
for name in "${names[@]}"; do
  printf 'unit %s\n' "$name"
  [ -f "$name" ] && files+=("$name")
done
if [ ${#files[@]} -gt 0 ]; then
  tar --create --dereference --file=- -- "${files[@]}" | encoded files
fi
if [ ${#names[@]} -gt 0 ] && [ -d /run/fleet/units ]; then
  # fleet's own files, which may not be as it wrote them.
  (cd /run/fleet/units && for name in "${names[@]}"; do [ -f "$name" ] && printf '%s\0' "$name"; done |
    tar --create --dereference --null --files-from=- --file=-) 2> /dev/null | encoded fleet-files
fi
if [ ${#names[@]} -gt 0 ]; then
  systemctl show --no-pager --property=Id,LoadState,ActiveState,SubState,FragmentPath,NeedDaemonReload,NRestarts,ActiveEnterTimestamp,DropInPaths \
    -- "${names[@]}" | encoded show
fi

if listed=$(timeout 10 "$engine" ps --all --no-trunc --format '{{.Names}}	{{.ID}}	{{.Status}}	{{.Image}}	{{.Ports}}' 2>&1); then
  printf '%s' "$listed" | encoded containers
  # Labels, in words that both engines have; what has gone since it was listed is left out. What nobody says is not nothing.
  mapfile -t ids < <(cut -f2 <<< "$listed" | sed '/^$/d')
  if [ ${#ids[@]} -gt 0 ]; then
    labels=$(timeout 10 "$engine" inspect --format '{{.Id}} {{json (index .Config.Labels "coreos-kit.project")}} {{json (index .Config.Labels "coreos-kit.unit")}}' \
      -- "${ids[@]}" 2>&1) || { [ $? -ne 124 ] && [[ ${labels,,} = *"no such "* ]]; } ||
      printf '%s' "whose containers these are is not known: ${labels:-no answer within 10 s}" | encoded engine-error
    printf '%s' "$labels" | encoded labels
  fi
else
  printf '%s' "$listed" | encoded engine-error
fi
echo end
