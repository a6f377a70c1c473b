"""The moving picture of a group and the dashboard around it: what changes on the screen while a
notebook stands still.

Data in ``scene``, kept by ``story``, drawn by ``picture`` and ``slots``, shown by ``view``;
buttons, lamps and steps above it in ``dashboard``.
"""
