"""The processes and threads of a lab, and its directory.

- ``plugin_commands``: start, serve, stop and kill plugins. Owns what is below, except the record.
- ``manager_commands``: start managers, say which of them leads.
- ``group_commands``: what is asked of group plugins. ``convergence``: the waits for groups.
- ``child_processes``: a plugin process and a shell command, and what is typed to start them.
- ``session``: from the opening of a lab to its close or reset: the loop thread, which alone runs
  asynchronous clients, and the threads of views and buttons.
- ``event_collector``: follows every plugin's events, in the loop thread.
- ``timeline``: the record, with its lock. ``summary``: what the forgotten half of it led to.
- ``workspace``: the directory ``ikdemo-lab-*`` on disk, its lease, and the shell that cleans up
  after a killed Python.
- ``stubs``: plugins that are objects of this Python, and how they are served.
- ``open_labs``: the labs of this machine.

On disk, in the directory of a lab: ``plugins/`` (sockets, and beside them what plugins keep),
``instances/NAME/`` (of each file plugin), ``logs/NAME.log``; with managers
``leader`` and ``manager-store/``.
"""
