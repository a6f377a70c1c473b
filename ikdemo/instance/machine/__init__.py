"""The instance plugin ``machine``: an instance is a machine in namespaces of this host, which runs
its Init at boot as a cloud's machines run user data, and has a Docker engine.

- ``plugin``: the contract's methods.
- ``machine_table``: the machines that are on, restored from their state files at the start.
- ``machine_record``: what is kept of one in its state file, and what it is made from.
- ``machine``: one of them, booted and ended; what it needs of this host.
- ``boot_script``: what happens in it at boot, and the commands that its Init finds.
- ``switch``: what machines are connected to, and the cables.
- ``orphans``: machines that nobody keeps any longer, ended and removed.
- ``busybox_image``: an image for their engines, made without a registry.
- ``cgroups``: the control groups of its containers.

On disk, in ``--dir``: ``INSTANCE.json`` and the disk ``mN`` for each machine, and the directory's
mark. What blocks is done in threads, one machine in each.
"""
