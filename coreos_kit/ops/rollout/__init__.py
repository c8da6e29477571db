"""How what runs is changed without anybody who asks a balancer noticing. Knows no verb, only a session.

`deploy` calls `let_in`, `rolling` and, where that fails, `undo`; `restarting` takes a restart through
`leaving` and `pools` without a wave. A step walks through the modules in this order:

1. `rolling` takes wave after wave, pauses between a service's instances, and keeps the `ledger`.
2. `wave` carries out the steps of one wave: has them leave, makes their changes, has them come.
3. `leaving` has a sidekick hold its instance out of etcd, looks by way of `footing` whether the machine is
   still as it was planned from, and waits until `pools` has seen every balancer drop the instance.
4. `coming` waits until the units are up and well, registered, and listed by what `pools` asks.
5. `undo`, where one of these failed, goes back through the ledger's steps, each as a wave of its own.

Beside them, for all: `work` is what each is handed, `listening` tells the lock, hooks and whoever watches,
and may stop a step there; `let_in` finds the sidekicks that an earlier deploy left held out.
"""
