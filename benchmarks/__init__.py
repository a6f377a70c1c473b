"""How fast it is on this machine: medians and ratios against a floor, printed, never asserted in a
test.
"""
