"""The cells of a run: planning them, computing them, sharing them among processes, showing progress."""
