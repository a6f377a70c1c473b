"""The instance plugin ``process``: an instance is a process group, alive as long as its leader is.

- ``plugin``: the contract's methods.
- ``spawn``: what a process is started from, and the start itself.
- ``table``: the instances that live, restored from their state files when the plugin starts. A task
  for each end, and for what a lost instance left behind.
- ``process_group``: one of them, from its start to its end, held by a pidfd.
- ``descendants``: all that an instance started, also what left its group and its session; one scan
  of ``/proc`` for all who ask at the same time.
- ``orphans``: processes whose instance is in no state file any longer, found by their environment
  and killed.
- ``process_record``: what is kept of a living instance in its state file.
- ``descriptors``: file descriptors kept free for ending processes.

On disk, in ``--dir``: ``INSTANCE.json`` and ``INSTANCE.log`` for each instance, and the directory's
mark, an extended attribute or the file ``.owner``.
"""
