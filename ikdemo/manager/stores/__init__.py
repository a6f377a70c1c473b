"""The back ends of a manager, independent of one another; each is a ``backend.Backend``.

- ``etcd_store``: keys of an etcd, and its leases.
"""
