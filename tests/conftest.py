"""What holds for every test: strict dtypes, eight virtual devices for sharding, and programs that are compiled quickly.

The tests compile thousands of programs and run most of them once, so that compiling them is most of the work: without
LLVM's optimisations the whole suite takes two thirds of the time. `JFEWSHOT_TEST_OPTIMISED=1` leaves the programs as
users run them; `.ci/run` does so for the tests of what is solved, beside a whole run without.
"""

import os

# Set before JAX starts, and in the environment, where the processes that tests start find it too.
if not os.environ.get("JFEWSHOT_TEST_OPTIMISED"):
    quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quickly}".strip()

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
