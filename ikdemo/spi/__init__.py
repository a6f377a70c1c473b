"""The words that all floors share: plugin contracts and the documents that plugins exchange.

Everything else imports from here, and this imports nothing of ours. No clock, no randomness, no
files, no sockets, no tasks.

- ``contracts``: what an instance, flavor or group plugin is, and the lookup that finds one.
- ``documents``: specs, descriptions, allocations, health; their member names on the wire; slots.
- ``messages``: parameters and results of every method on the wire.
- ``plans``: observed instances, actions, reasons, plans, outcomes; the digest of instances.
- ``events``: one fact, a batch of facts, and a position in a stream of them.
- ``errors``: every error that is raised on purpose, and whether trying again is safe.
- ``decode``: JSON to documents and back, with sentences that say where a document is wrong.
- ``text``: JSON as Go writes it; what people read, with nothing in it that is not seen.
- ``sources``: where a document is read from; YAML, templates and the like recognised by name.
- ``config_sha``: InfraKit's hash of a group's configuration.
- ``durations``: "1m30s" and back; how long an orderly stop may take.
"""
