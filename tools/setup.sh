#!/usr/bin/env bash
# Installs what is missing and nothing else: setup.sh kit | python | lab | tests
#   kit     the virtual environment .venv with coreos-kit, at the versions of constraints.txt
#   python  the same, with what developing it takes
#   lab     what the lab needs of the system
#   tests   what the tests run on loopback: etcd, nginx, sshd (their services are not started)
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

LAB=(systemd-container debootstrap iproute2 iptables openssh-client curl)
TESTS=(etcd-server etcd-client nginx-light libnginx-mod-http-lua openssh-server)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

refuse() {
  printf 'error: %s\nhint:  %s\n' "$1" "$2" >&2
  exit 1
}

packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get > /dev/null || refuse "these packages are missing, and there is no apt-get here: ${missing[*]}" \
    "Install them with your package manager, then run this again."
  [ "$(id -u)" = 0 ] || command -v sudo > /dev/null || refuse "these packages are missing, and only root can install them: ${missing[*]}" \
    "Run this as root, or: apt-get install ${missing[*]}"
  echo "installing ${missing[*]} with apt-get (once; it may take a minute)"
  # shellcheck disable=SC2016 # it is the inner bash that expands these
  as_root env DEBIAN_FRONTEND=noninteractive bash -c '
    set -e
    # A server that is installed for tests is not to be started by the way.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" > $policy && chmod +x $policy
    fi
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" > /dev/null
  ' setup "${missing[@]}"
}

environment() { # $1: what to install   $2: the stamp that says it is there
  if [ ! -e "$2" ] || [ pyproject.toml -nt "$2" ] || [ constraints.txt -nt "$2" ]; then
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
      refuse "Python 3.11 or newer is needed, and $PYTHON is $("$PYTHON" --version 2>&1 || true)" \
        "Name another one: make PYTHON=python3.12 demo"
    "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null || packages python3-venv
    echo "setting up .venv, and what coreos-kit needs in it (once; it may take a minute)"
    [ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable "$1"
    touch "$2"
  fi
}

for what in "$@"; do
  case $what in
    kit) environment . .venv/.kit ;;
    python) environment '.[dev]' .venv/.ready ;;
    lab) packages "${LAB[@]}" ;;
    tests) packages "${TESTS[@]}" ;;
    *) refuse "there is nothing called $what to set up" "setup.sh kit | python | lab | tests" ;;
  esac
done
