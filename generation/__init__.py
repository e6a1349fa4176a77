"""Train the networks of a subset, snapshot them, and turn them into the subset's files. Run from a clone."""
