"""The cost of an encoder: operations per clip, and clips per second on this machine.

- `recording`: the cost of each finished part, and of a store from the costs of its parts
- `machine`: the processor or GPU on which an encoder runs, and its threads
- `flop`: operations of an encoder for one wave, where they can be counted
- `in_torch`, `in_jax`, `in_onnx`: count the operations of each kind of network
- `completing`: measures the cost for an existing store whose manifest has no cost
"""
