"""What stands still in a notebook: tables, words and figures, each made from documents and events.
Nothing here knows a plugin, a thread or a file.

- ``tables``: a table, a sentence; how durations, shares and events are said.
- ``step_view``: what plugins answer, as tables. ``theme``: colours and signs of every picture.
- ``recovery_report``, ``recovery_figure``: the falls and recoveries of a group.
- ``rollout``, ``rollout_figure``: a rolling update.
- ``swimlanes``: the lower half of both figures. ``stamps``: the moments named above a curve.
- ``partition_report``, ``partition_figure``: what is counted against what runs.
- ``images``: a figure as bytes, SVG and HTML. ``plotting``: how matplotlib is loaded and used; only
  the figures import it, when they are drawn.
"""
