"""For all tests: eight virtual CPU devices, asked for before JAX starts."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
