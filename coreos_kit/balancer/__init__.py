"""The balancer's pool: registrations in etcd become servers in Nginx, without a reload.

These files run twice: here, where `balancer preview` and `verify` ask `pool_of` what the pool should be,
and inside the balancer's container, where the image build puts them and the watcher runs. Hence the
standard library only, Python >= 3.9, and imports of siblings only.
"""
