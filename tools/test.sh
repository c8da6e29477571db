#!/usr/bin/env bash
# Runs the tests: test.sh all | fast|real|lab|campaign [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
what=$1
shift

can_lab() { [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; }

fast() { .venv/bin/pytest -q -n auto tests/unit tests/cli tests/contracts tests/docs "$@"; }
real() { .venv/bin/pytest -q -n auto tests/real "$@"; }
lab() { .venv/bin/pytest -q tests/lab "$@"; }
campaign() { .venv/bin/pytest -q -m 'campaign or fault' tests/lab "$@"; }

case $what in
  fast) fast "$@" ;;
  real) real "$@" ;;
  lab) lab "$@" ;;
  campaign) campaign "$@" ;;
  all)
    tools/setup.sh python
    if can_lab; then
      tools/setup.sh lab tests
    else
      echo "without root on Linux, the lab's tests are skipped"
    fi
    failed=()
    make --no-print-directory check || failed+=(check)
    fast || failed+=(fast)
    real || failed+=(real)
    lab || failed+=(lab)
    if [ ${#failed[@]} -gt 0 ]; then
      echo "failed: ${failed[*]}"
      exit 1
    fi
    ;;
esac
