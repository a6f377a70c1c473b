"""The instance plugin ``file``: an instance is a file in a directory.

- ``plugin``: the contract's methods, and what may be in a spec's properties.
- ``directory``: the directory that this process owns, watches, loses and finds again. A task for a
  comparison by parts.
- ``contents``: what its files say, and which other things lie there and are left alone.
- ``index``: the instances in memory, by file name, by ID and by slot.
- ``format``: the text of one instance file, InfraKit's own byte for byte.

Everything runs in the plugin's event loop. On disk: one file an instance in ``--dir``, and
the epochs of leaders, once a group was claimed (``instance.fence``).
"""

from .plugin import FileInstances as FileInstances
