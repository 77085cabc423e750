"""Crews: the processes that share an extraction with the main process.

- `base`: the interface of a crew, and the work of each process in a crew
- `replicas`: several processes on one machine
- `on_ray`: the machines of a Ray cluster
"""
