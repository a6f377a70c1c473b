"""Instance plugins: each makes, destroys and describes instances of one kind."""
