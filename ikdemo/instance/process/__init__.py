"""The instance plugin ``process``: an instance is a process group, alive as long as its leader is.

- ``plugin``: the contract's methods.
- ``spawn``: what a process is started from, and the start itself.
- ``table``: the instances that live, taken up from their state files when the plugin starts.
- ``process_group``: one of them, from its start to its end.
- ``descendants``: all that an instance started, also what left its group and its session.
- ``orphans``: processes whose instance nobody keeps any longer, found by their marks and killed.
- ``state_files``: one file a living instance in ``--dir``, from which a restarted plugin knows its
  own again.
- ``output_limit``: keeps the outputs short while they are written, in a thread for each cut.
- ``procfs``, ``descriptors``: what the kernel says of processes; file descriptors kept free for
  ending them.
"""
