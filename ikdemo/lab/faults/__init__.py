"""Faults: instances are broken past all plugins, as a person at a terminal would.

- ``inject``: files removed, signals sent, Docker's commands, each recorded as it is done.
- ``targets``: which instances are chosen, and how a signal and a Docker command are sent.

Owns no thread and no file; it writes to the record, in the thread of the caller.
"""
