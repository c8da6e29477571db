# etcd's v3 keys. The key lives as long as a lease, which is kept alive.
export ETCDCTL_API=3;
lease=;
own="value(\"$key\") = \"$value\"";
# Compare-and-delete: a key that holds another's value stays.
forget() {
  ctl txn <<<"$own$nl${nl}del $key$nl$nl" || return;
  [ -z "$lease" ] || ctl lease revoke "$lease" || :;
  lease=;
};
