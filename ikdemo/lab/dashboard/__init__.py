"""What moves on the screen while a notebook stands still: the live view of a group, the dashboard
around it, and the page of web servers.

- ``view_model``: what is shown at one moment. ``group_history``: keeps it, event by event.
- ``status``: what the group plugin says of the group, as a sign and a sentence.
- ``view_drawing``, ``slots``: the picture as SVG. ``replay``: the last quick fall, played slowly.
- ``view``: the widget, drawn by a thread of its own until the session ends.
- ``dashboard``: the view with controls. ``buttons``: a thread for each click. ``panels``: plugins
  with lamps, and the loop by hand.
- ``servers``, ``web_page``: instances that are web servers, asked for their pages.

No file on disk is written or read here.
"""
