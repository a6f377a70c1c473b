"""Chaos: groups broken by experiment, on purpose and within limits, and what was found set beside
theory.

- ``experiment``: random kills within limits, and the way back. ``subjects``: on what: a group of a
  lab, or a simulated one on a virtual clock.
- ``findings``: what one experiment found. ``results``: measures with intervals, beside theory.
- ``availability``, ``crashes``, ``overcreation``: series of experiments, all simulated.
- ``figures``: their pictures. ``exercise``: the check of notebook 09's exercise.

Runs in the thread of the caller and keeps nothing on disk. Nothing in the lab outside this folder
knows of it.
"""
