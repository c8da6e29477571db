"""fleet, driven through fleetctl on the cluster's own machines: no fleetctl here, no agent, no version skew.

What fleetctl's exit codes say is not believed (tests/contract/fleetctl-1.0.0.jsonl has the reasons): fleet's
lists are read before and after, and every step ends when they show it.
"""
