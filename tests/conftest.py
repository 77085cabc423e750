"""What holds for every test: strict dtypes, and eight virtual devices, so that sharding can be exercised."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
