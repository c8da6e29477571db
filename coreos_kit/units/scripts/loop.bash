# Keeps one registration alive while the backend is well. Silent unless something changes.
#
# Values come before this text: key, value, ttl, renew, every, fall; the functions ctl, register, forget, check.
# check returns 0 if the backend is well, 7 if it refuses connections (curl's own code), anything else otherwise.

# USR1 takes the instance out and holds it out, USR2 (or a restart) lets it back in.
held=;
trap "held=yes" USR1;
trap "held=" USR2;
trap "exit 0" TERM INT;

# Not $SECONDS, which follows the clock: set back by an hour it would let the key expire.
now() {
  read -r now _ </proc/uptime; now=${now%.*};
};

# Sets `out` to the reason why the instance has to be out of the pool; empty: it belongs in.
out="it has not been well yet";
fails=0;
judge() {
  if [ "$held" ]; then out="held out by SIGUSR1"; fails=0; return; fi;
  heard=$(check 2>&1);
  case $? in
    0) fails=0; out=; return ;;
    7) fails=$fall; out="$value refuses connections"; return ;;
  esac;
  fails=$((fails + 1));
  [ "$fails" -lt "$fall" ] || out="the check failed $fall times in a row: ${heard:-no answer}";
};

away=;
answered() {
  [ -z "$away" ] || echo "etcd answers again";
  away=;
};
unanswered() {
  [ "$away" ] || echo "etcd does not answer, trying on: ${said:-nothing came in time}";
  away=yes;
};

# `state` is in, out, or empty while nobody can say: before the first word from etcd, or after a call that
# may or may not have arrived.
state=;
due=0;
act() {
  if [ -z "$out" ]; then
    [ "$state" != in ] || [ "$now" -ge "$due" ] || return;
    if register; then
      answered;
      [ "$state" = in ] || echo "registered $key = $value";
      state=in; ever=yes; due=$((now + renew));
    else
      unanswered;
      [ "$state" = in ] || state=;
    fi;
  elif [ "$state" != out ]; then
    if forget; then
      answered;
      [ "$state" != in ] || echo "deregistered $key: $out";
      state=out;
    else
      unanswered;
    fi;
  fi;
};

ever=;
now;
impatient=$((now + 60));
while :; do
  judge;
  now;
  act;
  now;
  pause=1;
  if [ "$state" = in ] && [ "$fails" = 0 ] && [ -z "$away$out" ]; then
    pause=$((due - now)); [ "$pause" -lt "$every" ] || pause=$every; [ "$pause" -gt 0 ] || pause=0.1;
  elif [ "$state" = in ] && [ -z "$away$out" ]; then
    pause=0.5;
  elif [ -z "$ever$held$away" ] && [ "$now" -lt "$impatient" ]; then
    pause=0.3;
  fi;
  # In the background, so that a signal does not have to wait for its end.
  sleep "$pause" & wait $!;
done
