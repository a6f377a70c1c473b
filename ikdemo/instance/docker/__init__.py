"""The instance plugin ``docker``: an instance is a container, alive as long as the engine says so.

- ``plugin``: the contract's methods.
- ``config``: what a container is made from: the spec's properties, and the document the engine
  wants.
- ``labels``: what a container carries, which is all that is known of an instance.
- ``provisioning``: how slots come by their containers, one at a time in each, with the image pulled
  before. A task for each provision and each pull.
- ``containers``: those of one owner: created, ended, lost. A task for each end.
- ``engine_watch``: the engine's events, a comparison now and then, and coming back to an engine
  that was away: one task.
- ``reaper``: how a container ended, and who ended it; removes the dead and keeps their last output.
  A task for each removal.
- ``orphans``: containers whose plugin's directory is gone; and the note in it that says whose they
  are.

Calls of the engine block, and have a thread each (``engine.calls``); so have the engine's events.
On disk: the note in ``--dir``.
"""
