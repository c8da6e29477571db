#!/usr/bin/env bash
# Runs every property on many examples, round after round with another seed, until the time is over.
#   fuzz.sh [SECONDS [SEED]]      a failure says its seed: fuzz.sh 1 SEED runs that round again
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-300} seed=${2:-1}

# The fast tests that hold properties, and what is too slow for them.
mapfile -t files < <(grep -rl --include='test_*.py' '^@given' tests/unit | sort)

while :; do
  echo "round with seed $seed"
  # A round that doesn't end is a failure as well: every text has to be dealt with in bounded time.
  timeout "$((seconds + 600))" .venv/bin/pytest -q -n auto --no-header -m 'fuzz or not fuzz' \
    --hypothesis-profile=fuzz --hypothesis-seed="$seed" "${files[@]}" tests/fuzz || {
    echo "failed in the round with seed $seed; to run it again: tools/fuzz.sh 1 $seed"
    exit 1
  }
  [ "$SECONDS" -lt "$seconds" ] || break
  seed=$((seed + 1))
done
echo "$SECONDS s, the last seed was $seed: every property held"
