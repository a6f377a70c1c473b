"""Machines in a lab: a swarm of them, whose workers are the instances of a group.

- ``lab_machines``: the swarm, made, broken and looked at.
- ``count_watch``: what is counted and what runs, while something happens to it.

A watch has a thread for each engine, which ends with it or with the lab.
"""
