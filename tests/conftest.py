"""What holds for every test: strict dtypes, eight virtual devices for sharding, and programs that are compiled quickly.

The tests compile thousands of programs and run most of them once, so that compiling them is most of the work. Without LLVM's
optimisations, in one part each, and with XLA's older and simpler loops where it still has them, it is half of that.
With `JFEWSHOT_TEST_OPTIMISED=1` the programs are those that users run; `.ci/run` runs the solvers' tests once more in this way.
With `JFEWSHOT_TEST_BRIEF=1` the tests of `long_tests.txt` are left out. They take most of the time, and `.ci/run` runs them
on its first Python.
"""

import os
from pathlib import Path

import jaxlib.version

# Set before JAX starts, and in the environment, where the processes that tests start find it too.
if not os.environ.get("JFEWSHOT_TEST_OPTIMISED"):
    flags = ["xla_backend_optimization_level=0", "xla_llvm_disable_expensive_passes=true"]
    flags.append("xla_cpu_parallel_codegen_split_count=1")
    # XLA ends a process over a flag that it does not know: jaxlib 0.12 has lost this one.
    if jaxlib.version.__version_info__ < (0, 11):
        flags.append("xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *(f"--{flag}" for flag in flags)]).strip()

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_collection_modifyitems(config, items):
    """Leave long tests out where that is asked for."""
    if not os.environ.get("JFEWSHOT_TEST_BRIEF"):
        return
    listed = set((Path(__file__).parent / "long_tests.txt").read_text(encoding="utf-8").split("\n"))
    long = [item for item in items if item.nodeid.split("[")[0] in listed]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item.nodeid.split("[")[0] not in listed]
