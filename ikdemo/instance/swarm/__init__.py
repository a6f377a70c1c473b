"""The instance plugin ``swarm``: an instance is a task of a Docker swarm, on whichever node Swarm
places it.

- ``plugin``: the contract's methods.
- ``task_config``: what a task is made from: the spec's properties, and the document the swarm
  wants.
- ``slot_service``: the service that is a slot: its name, its labels, and what it is asked to
  become.
- ``slot_updates``: how slots are filled and emptied, by updates that the swarm refuses when another
  one was faster. A task for each.
- ``slot_claims``: which leader may act on the slots of a group.
- ``slot_sweep``: removes slots that have been empty for long.
- ``tasks``: which instances live, and how one ended, from what the swarm lists.
- ``task_watch``: looks, again and again, and tells what is new and what was lost. One task, and one
  for each output of the dead that is read.
- ``task_events``: what an engine tells by itself, so that looks come sooner. One task at times.

Calls of the engine block, and have a thread each (``engine.calls``); so have the engine's events.
Nothing is on disk: whose the instances are, and which leader may act on them, the swarm keeps.
"""
