"""Compile the evaluator's functions once per shape, measure the time of compilation, and keep the last few hundred programs."""

import collections
import time
from collections.abc import Mapping
from typing import Any

import jax

from jfewshot.profiling import stage

# Traces per compiled function, by name; a test fails if a change causes recompilation.
TRACES: collections.Counter[str] = collections.Counter()
# A grid of many ways, shots and classifiers needs a few dozen programs; a process that runs for weeks should not keep
# all its programs.
MOST_FUNCTIONS, MOST_PROGRAMS = 128, 512
# XLA has two ways to generate loops for CPUs. The older one vectorises the loops of a small solver over the episodes,
# which the newer one often does not do, but is slow for large episodes. On processors with 512-bit vectors, XLA uses
# only 256 bits by default (benchmarks/NOTES.md has the numbers).
WIDE: dict[str, bool | str] = {"xla_cpu_prefer_vector_width": "512"}
OLDER: dict[str, bool | str] = {"xla_cpu_use_fusion_emitters": False}


class Programs:
    """Compiled programs by function and shapes, dtypes and shardings of its arguments; the least recently used are dropped.

    Attributes:
      compile_s: seconds spent compiling so far.
    """

    def __init__(self, most: int = MOST_PROGRAMS):
        self.compile_s = 0.0
        self._most = most
        self._kept: collections.OrderedDict[tuple, Any] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, function, *arguments, options: Mapping[str, bool | str] | None = None):
        """Call a jitted function; compile it first if it has not been compiled for these shapes.

        Args:
          function: a jitted function.
          *arguments: its arguments, arrays or pytrees of arrays.
          options: compiler options; always the same for one function.
        """
        leaves, structure = jax.tree.flatten(arguments)
        key = (function, structure, tuple((x.shape, x.dtype, getattr(x, "sharding", None)) for x in leaves))
        program = self._kept.get(key)
        if program is None:
            started = time.perf_counter()
            with stage("compiling"):
                program = self._kept[key] = _compiled(function.lower(*arguments), options)
            self.compile_s += time.perf_counter() - started
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return program(*arguments)


def _compiled(lowered: jax.stages.Lowered, options: Mapping[str, bool | str] | None) -> jax.stages.Compiled:
    if options:
        try:
            return lowered.compile(compiler_options=dict(options))
        except jax.errors.JaxRuntimeError as error:
            # Which options exist depends on XLA's version; the results are the same without them.
            if "No such compile option" not in str(error):
                raise
    return lowered.compile()


# One object for all evaluators of a process, since they share their functions.
PROGRAMS = Programs()
