"""The instance plugin ``docker``: an instance is a container, alive as long as the engine says so.

- ``plugin``: the contract's methods.
- ``config``: what a container is made from: the spec's properties, and the document the engine
  wants.
- ``labels``: what a container carries, which is all that is known of an instance.
- ``provisioning``, ``image_pulls``: how slots come by their containers, one at a time in each, with
  the image fetched before.
- ``containers``: those of one owner: made, ended, lost.
- ``engine_watch``: the engine's events, a look now and then, and coming back to an engine that was
  away.
- ``exit_reason``: how a container ended, and whose doing that was.
- ``reaper``: removes dead containers and keeps their last output.
- ``orphans``: containers whose plugin's directory is gone; and the note in it that says whose they
  are.

Calls of the engine block, and have a thread each (``engine.calls``). On disk: the note in
``--dir``.
"""
