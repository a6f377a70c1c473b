"""Machines in namespaces of this host, which run their Init at boot as a cloud's machines run user
data, and have a Docker engine each.

- ``machine``: one of them, booted and ended; what it needs of this host.
- ``boot_script``: what happens in it at boot, and the commands that its Init finds.
- ``switch``: what machines are connected to, and the cables.
- ``orphans``: machines that nobody keeps any longer, ended and removed.
- ``busybox_image``: an image for their engines, made without a registry.
- ``cgroups``: the control groups of its containers.
"""
