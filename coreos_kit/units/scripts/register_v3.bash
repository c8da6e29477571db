# Keeping a lease alive does not bring back a key that was deleted or overwritten, so both are done.
# Where the lease is lost, or nobody can say, a new one takes the key over; the old one ends by itself.
register() {
  if [ "$lease" ] && ctl lease keep-alive --once "$lease"; then
    if ctl txn <<<"$own$nl$nl${nl}put $key $value --lease=$lease$nl"; then
      case "$said" in *FAILURE*) echo "$key did not hold $value any more, set again" ;; esac;
      return 0;
    fi;
  fi;
  lease=;
  ctl lease grant "$ttl" || return;
  lease=${said##*lease }; lease=${lease%% *};
  ctl put --lease="$lease" "$key" "$value";
};
