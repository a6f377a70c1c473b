"""Pure decisions: what to do next and why. Time and identifiers are arguments; nothing here reads a
clock or does I/O.
"""
