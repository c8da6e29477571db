# etcd's v2 keys.
# No timeout flags: the etcdctl of 2014 does not know them; `timeout` in ctl does the same.
export ETCDCTL_API=2;
# Compare-and-delete. 100: there is no such key; 101: it holds another's value. Both mean that ours is gone.
forget() {
  ctl rm --with-value "$value" "$key" || case "$said" in *" 100: "* | *" 101: "*) : ;; *) false ;; esac;
};
