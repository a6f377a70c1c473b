"""Pure decisions about a group: what to do next, and why.

Theory of operation. A group's loop repeats four steps, of which the second and the fourth are here:

- observe: the instances are described, their health is asked for, or the cache of the last
  observation is used, which events keep current. A failed observation is doubt, not an empty world.
- plan: ``plan(desired, observed, memory, now)`` returns actions, and a reason for everything that
  is not as wanted. It compares three states and computes; it changes nothing.
- act: the actions are carried out in parallel. Each call may fail, or happen without an answer.
- settle: ``settle(...)`` returns the next memory: back-offs, unhealthy answers in a row, what was
  asked for and has not been seen.

Why slots. Counting instances and adding what is missing creates too many whenever an answer is
late, lost or partial. So a group is a fixed set of slots, each is filled or empty, and filling one
twice returns the instance that is there. Plugins without slots are given expectations instead.

Why level-triggered. A plan follows from what is, never from what happened: an event only says that
it is worth looking now. So a lost event, a restart or a second loop changes when the group
converges, not to what.

Why pure. Time and identifiers are arguments; jitter is a hash. So the same arguments give the same
plan: asking for it (``why``, a dry run) is free of effects, a simulator can run days in seconds,
and properties can be tested over generated worlds. Nothing here reads a clock, a file or a socket.

The files:

- ``desired``: what a group should be: its slots, the pace of an update.
- ``model``: what the planner is told besides, and remembers: Observation, Memory and their parts.
- ``plan``: the planner: surplus, unhealthy, missing, outdated; and its reasons as sentences.
- ``plan_builder``: collects actions and reasons; no action where a back-off forbids it.
- ``assignment``: which instance fills which slot, which are surplus, which are unmanaged.
- ``rolling``: rolling updates: the next batch, and what it waits for.
- ``health``: unhealthy answers in a row, and what flavors reported.
- ``expectations``: what plugins without slots were asked for; what was destroyed and still shows.
- ``backoff``: how long to wait, when to begin, when to give up; back-offs after a pass.
- ``settle``: the memory after a pass; the only maker of ``Memory``.
- ``members``: which described instances are a group's own, and what each of them is.
- ``observed_cache``: the last observation, kept current by events.
- ``waiting``: what a wait for convergence makes of what it is shown.
- ``explain``: the sentences of InfraKit's Details on a commit.
- ``analysis/``: recovery, theory and simulation, which the loop never needs.
"""
