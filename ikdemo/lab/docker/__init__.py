"""Containers in a lab: how they are broken, how Docker itself heals them, and what is shown where
no engine answers.
"""
