"""The manager: stands before a group plugin and lets it keep groups only while this manager leads.

Of several managers one leads. It stores what is committed where all of them can read it, and a
manager that becomes the leader commits what is stored. It reaches the group plugin as any other
plugin, by ``Lookup.group``, and never imports one. Everything runs in the thread of one event loop.

- ``plugin``: the group plugin that clients see; what they change becomes a command.
- ``stored_commands``: what a command does: asks, stores, hands over.
- ``event_relay``: passes on what the group plugin behind tells. Owns the task "events of NAME".
- ``command_queue``: commands and changes of leadership, one at a time. Owns the task "manager's
  queue".
- ``leadership``: whether this manager leads, now. Owns the tasks "leadership", "changes of
  leadership" and, while it asks, "a look".
- ``reconciliation``: when that plugin is brought to what it has to keep, and tried again.
- ``handover``: what the group plugin behind is to keep: what is stored, or nothing.
- ``group_behind``: that group plugin: how it is found, and what it has to be.
- ``stored``: changes the stored global spec: loads, changes and saves it as one step.
- ``global_spec``: the document with all groups, and the forms it is stored in.
- ``backend``: what a back end does: says who leads, and keeps the global spec.
- ``stores``: the back ends, a file each.
"""
