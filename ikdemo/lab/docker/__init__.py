"""Containers in a lab: Docker's engine as a notebook sees it, and what is shown where none answers.

- ``docker_access``: finds an engine and an image, lists and runs containers, compares.
- ``comparison``: how soon lost containers are replaced. ``baselines``: Docker's own ways of it.
- ``machine_access``: boots machines, or says why there are none.
- ``recording``: what the cells of a notebook showed, read from ``recordings/NOTEBOOK.json``.

A comparison listens to the engine's events in threads that end with it.
"""
