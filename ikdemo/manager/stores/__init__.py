"""The back ends of a manager, independent of one another; each is a ``backend.Backend``."""
