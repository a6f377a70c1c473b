"""The manager: stands before a group plugin and lets it keep groups only while this manager leads.

Of several managers one leads. It stores what is committed where all of them can read it, and a
manager that becomes the leader commits what is stored. It reaches the group plugin as any other
plugin, by ``Lookup.group``, and never imports one. Everything runs in the thread of one event loop.

- ``backend``: what a back end does: says who leads, and keeps the global spec.
- ``global_spec``: the document with all groups, and the forms it is stored in.
- ``stores``: the back ends, a file each.
"""
