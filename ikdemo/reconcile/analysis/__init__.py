"""What is computed from a record, or from nothing but theory, and never by the loop: the group
plugin imports none of it.

- ``service``: which slots were wanted and which served, as events are read in order.
- ``lives``: when each instance began and ended, and when it was there and did not serve.
- ``recovery``: the step curve Q(t), its stamps and its loss.
- ``partition``: what is counted and what runs while a machine is cut off.
- ``simulator``: a simulated world on a virtual clock, kept by the same planner.
- ``theory``: what is to be expected under random faults, and how sure a measurement is.
"""
