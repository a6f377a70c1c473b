"""The command line: InfraKit's programs, verbs, columns and exit codes, and ikdemo's own. No other
folder imports it.

- ``main``: the programs ``infrakit`` and ``ikdemo``, and which verbs each has
- ``commands``: finds the verb that a command line asks for, runs it, and has its help pages
- ``flags``: reads flags by cobra's rules; ``columns``: lays out what is printed
- ``engine_flags``: the flags that say where a Docker engine is
- ``verb_inputs``: reaches the plugin that a verb names, and reads its FILE
- ``event_merge``: puts what several plugins tell into one order
- ``exit_status``: how a program ends; ``logs``: how it logs
- ``programs``: the plugin programs, their flags and defaults; ``plugin_program``: runs one;
  ``manager_program``: the one whose back ends are sub commands
- ``forking``: forks a process for each plugin of ``ikdemo up``
- ``jupyter``: JupyterLab with our layout; ``working_copy``: the learner's copy of the notebooks
- ``verbs``: one file for each family of verbs
"""
