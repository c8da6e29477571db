"""One verb a module, and what verbs share. Handed ports; never imports an adapter.

How running services are changed lies in `rollout`, which imports no verb.
"""
