"""What a teacher would do: check a learner's work, give hints, keep the way through the notebooks.

- ``check``: says what is still to do, not only that something is.
- ``exercises``: the check of each notebook's exercise.
- ``hints``: name the step that was skipped.
- ``progress``: notes what was checked, and ends Run All at an exercise that is not done yet. On
  disk: ``progress.jsonl`` in the learner's copy, a line for each part that was found good.
- ``specs``: the specs of the groups that every notebook commits.

All of it runs in the kernel's main thread.
"""
