"""Crews: the processes that share an extraction with the main process.

- `base`: what a crew offers, and what each process of a crew does
- `replicas`: several processes on one machine
- `on_ray`: the machines of a Ray cluster
"""
