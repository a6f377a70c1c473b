"""The back ends of a manager, independent of one another; each is a ``backend.Backend``.

- ``etcd_store``: keys of an etcd, and its leases.
- ``os_store``: a leader file, and a directory of which it owns ``global.config``, ``leader.epoch``
  and ``leader.lock``; they are read and written in other threads.
- ``swarm_store``: labels of a Docker swarm's own spec, and its word on which node leads.
"""
