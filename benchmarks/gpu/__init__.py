"""What a GPU does, in one command of under ten minutes: `python -m benchmarks.gpu` (see __main__.py)."""
