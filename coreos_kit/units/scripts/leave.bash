# Ends the loop, makes sure that its own registration is gone, and lets requests under way come to their end.
# Always ends well and within bounds: without etcd the key goes when its TTL is over.

# First the loop, or it might register again. It may be dead already, and then systemd names no process.
if [ "$MAINPID" ]; then
  kill -TERM "$MAINPID" 2>/dev/null;
  for _ in {1..40}; do kill -0 "$MAINPID" 2>/dev/null || break; sleep 0.1; done;
fi;
if ! forget && sleep 0.3 && ! forget; then
  echo "etcd does not answer, so $key goes when its TTL is over: ${said:-nothing came in time}";
fi;
# A backend that takes no connections has nothing to bring to an end, and should come back soon.
if timeout 1 /bin/bash -c ": <>/dev/tcp/${value/://}" 2>/dev/null; then sleep "$drain"; fi
