# shellcheck shell=bash disable=SC2329 # what settle() is to ask is called by its name
# Changes units of a fleet cluster, many at a time: stop, seen inactive; destroy, seen gone; submit; load, seen placed; start.
# What fleetctl's exit codes say counts for nothing: every step ends when fleet's lists show it. Safe to repeat.
#   $1 seconds for each wait in which nothing comes about   $2 load|start: whether units must be loaded before any of them starts
#   stdin: a tar of units as a workspace has them, and order/{stop,remove,start} (a name a line), order/write (name, hash, path)
# Prints "stage NAME", "left base64" (the names that it waited for in vain), the lists, "said base64"; the last line is "end".
set -u
export LC_ALL=C
unset "${!FLEETCTL_@}"
seconds=$1 first=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" && tar --extract --file=- --no-same-owner || exit 1
: > said
: > left

look() {
  timeout 20 fleetctl list-unit-files --full --no-legend --fields=unit,hash,dstate,state,target > registry.new 2> complaint || return 1
  timeout 20 fleetctl list-units --full --no-legend --fields=unit,machine,load,active,sub,hash > units.new 2>> complaint || return 1
  [ ! -s complaint ] || [ -s registry.new ] || return 1 # it ends with 0 where it did not understand
  mv registry.new registry && mv units.new units
}
# What the lists do not show is not known. Whoever asks goes on at another machine: all of this is safe to repeat.
give_up() {
  printf 'failed lists %s\n' "$(base64 -w0 < complaint)"
  echo end
  exit
}
finish() {
  [ -s left ] || look || give_up
  printf 'stage %s\n' "$1"
  printf 'left %s\n' "$(base64 -w0 < left)"
  printf 'registry %s\n' "$(base64 -w0 < registry)"
  printf 'units %s\n' "$(base64 -w0 < units)"
  printf 'said %s\n' "$(tail -n 20 said | base64 -w0)"
  echo end
  exit
}
# Not $SECONDS, which follows the clock.
now() {
  read -r now _ < /proc/uptime
  now=${now%.*}
}
# $1 what prints the names that are still awaited  $2 seconds, anew whenever they become fewer  $3 what to do again in between
settle() {
  local deadline before='' left seen now
  now
  deadline=$((now + $2))
  while :; do
    seen=
    look && seen=yes && $1 > left && [ ! -s left ] && return 0
    now
    left=$(wc -l < left)
    [ "$left" -ge "${before:-$left}" ] || deadline=$((now + $2))
    before=$left
    [ "$now" -lt $deadline ] || { [ "$seen" ] && return 1; give_up; }
    ${3:-:}
    sleep 0.2
  done
}
# $1 a file with names or paths  $2… the command. fleetctl asks for one unit after the other, so several of it share many units.
each() {
  local names=$1
  shift
  xargs --arg-file="$names" --delimiter='\n' --max-args=25 --max-procs=8 --no-run-if-empty timeout 300 fleetctl "$@" -- > /dev/null 2>> said
}

look || give_up

# Another text of the same name has to go first: fleetctl would keep the old one and end with 0.
awk 'FILENAME == "registry" {hash[$1] = $2; next} $1 in hash && hash[$1] != $2 {print $1}' registry order/write > outdated
awk 'FILENAME == "registry" {there[$1]; next} $1 in there && !done[$1]++ {print $1}' registry order/remove outdated > doomed
# What was started once and lies still is not started again by fleetctl before it has been stopped.
awk 'FILENAME == "registry" {if ($3 == "launched" && $4 == "launched") launched[$1]; next}
     FILENAME == "units" {if ($4 == "active" || $4 == "activating" || $4 == "reloading") alive[$1]; next}
     $1 in launched && !($1 in alive) {print $1}' registry units order/start > lifeless
sort -u order/stop doomed lifeless > quiet

# A unit that fleet has placed nowhere can't be stopped, and naming it would leave the rest running.
stop_again() {
  awk 'FILENAME == "quiet" {quiet[$1]; next} $1 in quiet && $3 == "launched" && $4 != "inactive" {print $1}' quiet registry > running
  each running stop --no-block
}
still_running() {
  awk 'FILENAME == "quiet" {quiet[$1]; next} !($1 in quiet) {next}
       FILENAME == "registry" {if ($4 == "launched" || ($3 == "launched" && $4 != "inactive")) left[$1]; next}
       $4 != "inactive" && $4 != "failed" && $4 != "-" {left[$1]}
       END {for (name in left) print name}' quiet registry units
}
if [ -s quiet ]; then
  stop_again
  settle still_running "$seconds" stop_again || finish stop
fi

# Destroying what still stops would take its file away under its ExecStop=.
still_there() { awk 'FILENAME == "doomed" {doomed[$1]; next} $1 in doomed && !done[$1]++ {print $1}' doomed registry units; }
if [ -s doomed ]; then
  each doomed destroy
  settle still_there "$seconds" || finish destroy
fi

# What has to start is created by the command that loads or starts it: given a file, fleetctl does both in one go.
not_submitted() {
  awk 'FILENAME == "registry" {hash[$1] = $2; next} hash[$1] != $2 {print $1}' registry order/write
}
awk 'FILENAME == "registry" {there[$1]; next} !($1 in there) {print $1, $3}' registry order/write > new
awk 'FILENAME == "new" {path[$1] = $2; next} {print $1 in path ? path[$1] : $1}' new order/start > targets
awk 'FILENAME == "order/start" {start[$1]; next} !($1 in start) {print $2}' order/start new > paths
each paths submit

# Global units have no state of their own, and are never waited for.
not_placed() { awk 'FILENAME == "order/start" {start[$1]; next} $1 in start && $4 == "inactive" {print $1}' order/start registry; }
not_started() { awk 'FILENAME == "order/start" {start[$1]; next} $1 in start && $5 != "global" && $4 != "launched" {print $1}' order/start registry; }
if [ "$first" = load ]; then
  # Only what is new or placed nowhere: to load what has been launched would stop it.
  awk 'FILENAME == "registry" {if ($4 != "inactive") placed[$1]; next} !($1 in placed) {print $1}' registry targets > unplaced
  each unplaced load --no-block
  settle not_submitted 10 || finish submit
  settle not_placed "$seconds" || seconds=5
  cp order/start targets
fi
each targets start --no-block
settle not_submitted 10 || finish submit
[ -s order/start ] || finish end
settle not_started "$seconds" || finish start
finish end
