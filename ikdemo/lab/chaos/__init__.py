"""Chaos: groups broken by experiment, on purpose and within limits, and what was found set beside
theory.

An experiment is in ``experiment``, the same with the planner on a virtual clock in ``simulated``;
``availability``, ``crashes`` and ``overcreation`` are series of them. Nothing in the lab outside
this folder knows of it.
"""
