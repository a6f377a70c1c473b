"""The command line: InfraKit's programs, verbs, columns and exit codes, and ikdemo's own. Nothing
else imports it.
"""
