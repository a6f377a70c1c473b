"""Instance plugins: each makes, destroys and describes instances of one kind.

- ``file``: an instance is a file in a directory.
- ``process``: an instance is a process group of this machine.
- ``docker``: an instance is a container.
- ``machine``: an instance is a machine, in namespaces of this host.
- ``swarm``: an instance is a task of a Docker swarm, on any of its nodes.

None of the five imports another; what they decide alike is beside them:
- ``common``: events of instances, the occupant of a slot, tags, amounts of memory, ports; the
  settings of those whose instances outlive them.
- ``container_config``, ``container_labels``: what every container is made from, and carries.
- ``fence``: which leader may act on a group; keeps the epochs in the plugin's directory.
- ``single_flight``: operations that several callers share, such as ending one instance.
- ``ownership``: whose a directory is, and a process. ``procfs``: what the kernel says of processes.
- ``state_files``: one file a living process, from which a restarted plugin knows its own again.
- ``notices``: what inotify noticed in a directory.
- ``output``: what an instance printed, cut to its end, kept for a while after its death.
- ``output_limit``: keeps files that instances write short meanwhile; a thread for each cut.

Each plugin lives in one event loop; all but ``swarm``, which keeps nothing on disk, own their
``--dir`` while they run (``disk.Lease``).
"""
