"""Flavor plugins: each knows what instances are for.

- ``vanilla``: adds Init lines and tags; its instances are always healthy. How every flavor reads
  its properties.
- ``probe``: what vanilla does, and checks of each instance's health. A task for each instance that
  is checked, and one that forgets those that are gone.
- ``health_check``: one check, the health that follows from several, and the loop of checks of one
  instance.
- ``combo``: several flavors at once, and how their answers become one.
- ``health_relay``: passes on their health events. A task for each flavor that is followed.
- ``zookeeper``: makes pets the members of one ZooKeeper ensemble.
- ``swarm_flavor``: makes machines the nodes of a Docker swarm, and judges them by these.
- ``join_script``: what such a machine runs when it boots.

No flavor keeps a file.
"""
