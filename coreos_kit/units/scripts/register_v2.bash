# The TTL sits on the key, and setting it again renews it.
register() {
  ctl set "$key" "$value" --ttl "$ttl";
};
