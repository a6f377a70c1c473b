"""What breaks instances behind the backs of all plugins.

- ``inject``: files removed, signals sent, containers killed, each written down as it is done.
- ``targets``: which instances are meant.
- ``containers``: what Docker's own commands do to containers.
"""
