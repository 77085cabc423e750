"""What an episode is (NumPy only), and how episodes are drawn (JAX)."""
