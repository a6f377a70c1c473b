"""The group plugin: keeps groups as their committed specs want them. Everything runs in the thread
of one event loop; only the store's files are written in another thread.

- ``plugin``: InfraKit's five methods and the Reconcile extension: a command becomes a change.
- ``commit_checks``: whether a spec is acceptable, and the Details of committing it.
- ``removal``: freeing and destroying a group.
- ``registry``: the groups by ID; applies changes one after the other. Owns a task for each change
  and for each group that was freed.
- ``store``: owns the state directory: a file for each group, the one before it beside it.
- ``supervisor``: the loop of a group. Owns the task "supervisor of ID".
- ``reconciler``: one pass: observe, plan, act, settle, persist.
- ``observer``: when to observe, when to ask for health, when the cache will do.
- ``observation``: makes one observation: what there is, and its health.
- ``plugin_reports``: what plugins reported since the last pass.
- ``epoch_claim``: whether the loop may act, or a later leader has begun.
- ``lost_instances``: what is gone and was not drained, which its flavor buries. Owns a task
  "burying of group ID" while there is any.
- ``executor``: carries out a plan. Owns up to 128 tasks while it does.
- ``event_recorder``: emits and logs each fact about a group once.
- ``subscriptions``: one watch for each plugin; wakes the loops it concerns. Owns a task "events of
  NAME" for each.
- ``clock``: one clock for spans, one for stamps.
"""
