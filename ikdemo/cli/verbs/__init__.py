"""The verbs of the command line, by family; a file is loaded when a command line asks for one of
its verbs.

- ``group_verbs``: InfraKit's verbs of a group, and ``scale``
- ``loop_verbs``: ikdemo's: why, plan, pause, step, resume, wait
- ``plugin_verbs``: the verbs of one plugin: instances, their logs, flavors, which plugins run
- ``manager_verbs``: which manager leads; all groups of a document at once
- ``up``: starts plugins together; ``demo``: the whole walk-through, from start to plot
- ``lab_verbs``: JupyterLab on the learner's copy; the labs that are open
- ``event_log``: what all plugins say, in the order of time
- ``watch``: a group healing in the terminal, and keys to break it
- ``doctor``: what this machine can do; ``about_verbs``: the version, the schema of a spec
"""
