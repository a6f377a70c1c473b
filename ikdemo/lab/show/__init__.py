"""What stands still in a notebook: tables, words and figures, each made from a record. Nothing here
knows a plugin or a thread.

- ``tables``: what a lab answers with, for a terminal and for a notebook.
- ``theme``: colours and signs of every picture; ``figures`` and ``plotting``: how one is drawn and
  told in words.
- ``recovery``, ``recovery_figure``: the falls and recoveries of a group. ``rollout``,
  ``rollout_figure``: a rolling update.
- ``swimlanes``: the lower half of both figures. ``step_view``: one pass of the loop as tables.
"""
