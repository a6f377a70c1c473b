"""The processes and threads of a lab: its directory, its plugins, and the one thread that talks to
them.

- ``plugins``, ``groups``: what a learner can do with plugins and with groups.
- ``session``: the lab's thread and all that uses it, from its beginning to its close or reset.
- ``loop_thread``: the event loop of that thread. Only here do a cell's calls meet the asynchronous
  clients.
- ``event_collector``, ``timeline``, ``summary``, ``record_clock``: what all plugins tell, as one
  record in time order.
- ``workspace``, ``cleanup``, ``ownership``: the directory of a lab, and who removes it when Python
  was killed or forked.
- ``launcher``, ``plugin_process``, ``programs``: how plugin processes are started, and what is
  typed to start one.
- ``served``, ``stubs``, ``mute``: plugins that are objects of this Python.
- ``open_labs``, ``shell``: labs that are open on this machine; a command run where a lab is.

On disk: one directory a lab, named in ``workspace``.
"""
