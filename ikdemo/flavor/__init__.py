"""Flavor plugins: each knows what instances are for."""
