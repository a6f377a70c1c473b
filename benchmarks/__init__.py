"""How fast it is on this machine, and whether it holds up: measured and printed, never asserted in
a test.

Commands, ``python -m benchmarks...``:

- ``__main__``: the table of rows and targets (``make bench``); ``scale``: the same rows by size
- ``processes``, ``containers``, ``swarm``, ``leaders``, ``dashboard``: web servers that are killed,
  containers and nodes beside Docker's own means, managers that are killed, a frame of the live view
- ``soak``: kills for an hour, and whether every promise held (``make soak``)
- ``pages``: writes ``docs/performance.md`` (``make bench-pictures``); ``chart``: draws one result

What they are made of:

- ``bench``: the runner: arguments, directory, rounds in turns; ``results``: the JSON and the table
- ``measures``, ``pauses``, ``floors``: what is measured, event loops that are away, work by hand
- ``trio``, ``plugins``, ``variants``: three plugins, plugin processes, programs run in another way
- ``words``: what a chart shows, for those who cannot see it
- ``soak_group``, ``soak_files``, ``soak_processes``, ``soak_clients``: a group under attack, of
  files, of processes, and commands that overlap
"""
