"""The group plugin: one supervisor per group that observes, plans, acts and settles; a durable
store of specs.
"""
