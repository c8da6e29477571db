#!/usr/bin/env bash
# From a clone to a page served through the balancer, on machines made for it. Run again, it is quick.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=COREOS_KIT_STATE_DIR,COREOS_KIT_CACHE_DIR "$@"; fi; }
kit() { .venv/bin/coreos-kit "$@"; }
step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

missing=()
[ "$(uname -s)" = Linux ] || missing+=("Linux (this is $(uname -s))")
[ "$(id -u)" = 0 ] || command -v sudo > /dev/null || missing+=("root, or sudo")
command -v apt-get > /dev/null || missing+=("apt-get (the lab's machines are made from Debian packages)")
if [ ${#missing[@]} -gt 0 ]; then
  echo "error: the demo can't run here; nothing was changed. Missing:" >&2
  printf '       %s\n' "${missing[@]}" >&2
  echo "hint:  coreos-kit itself runs without: pip install . && coreos-kit init web" >&2
  exit 1
fi

if [ "${1:-}" = --undo ]; then
  as_root .venv/bin/coreos-kit lab down
  exit
fi

cache=${COREOS_KIT_CACHE_DIR:-/var/cache/coreos-kit}
if [ ! -e .venv/.kit ] || [ ! -d "$cache" ]; then
  echo "The first run takes some minutes, most of them for what is made once and kept: packages, .venv, and in $cache the machines' root file system."
fi

step "installing what is missing"
tools/setup.sh lab kit

step "booting the lab"
as_root .venv/bin/coreos-kit lab up

step "building and pushing the images, on a machine of the lab"
kit image build --on core-1
kit image push --on core-1

step "deploying the example"
kit deploy --yes

step "verifying it"
kit verify --wait 20

step "status"
kit status

step "the page, through the balancer"
address=$(kit --json status | .venv/bin/python -c 'import json, sys
status = json.load(sys.stdin)
where = next(unit["machine"] for unit in status["units"] if unit["unit"] == "nginx_lb.service")
print(next(machine["public_ip"] for machine in status["machines"] if machine["name"] == where))')
for _ in 1 2 3 4; do curl --silent --show-error --fail --noproxy '*' "http://$address/"; done
echo
echo "the balancer's log says who answered:"
kit logs nginx_lb -n 4

cat <<TEXT

== done in $SECONDS s

The page is at http://$address/ on this workstation. What to try next (. .venv/bin/activate, or .venv/bin/coreos-kit):
  coreos-kit status --watch        look at it, while in another terminal you
  coreos-kit lab kill core-1       take a machine's power away: it leaves the pool within its TTL
  coreos-kit verify                names what no longer holds
  coreos-kit lab revive core-1     and back again
  edit unit_templates/ or coreos-kit.toml, then coreos-kit plan and coreos-kit deploy
To take it all away: make undo-demo
TEXT
