"""Audio in, embedding stores out."""
