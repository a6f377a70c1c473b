"""The verbs of the command line: one file for each family, loaded when a command line asks for it.

Each has a tuple ``VERBS``; ``cli.main`` says which files a command's verbs are in.
"""
