# Keeping a lease alive does not bring back a key that was deleted, overwritten or put without the lease, so the
# key is put again each time (etcdctl can compare values, but panics when it is to compare a lease).
# Where the lease is lost, or nobody can say, a new one takes the key over; the old one ends by itself.
register() {
  if [ "$lease" ] && ctl lease keep-alive --once "$lease"; then
    if ctl put --prev-kv --lease="$lease" "$key" "$value"; then
      case "$said" in *"$nl$value") : ;; *) echo "$key did not hold $value any more, set again" ;; esac;
      return 0;
    fi;
  fi;
  lease=;
  ctl lease grant "$ttl" || return;
  lease=${said##*lease }; lease=${lease%% *};
  ctl put --lease="$lease" "$key" "$value";
};
