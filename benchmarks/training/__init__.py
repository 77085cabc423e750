"""Benchmarks of pretraining, emotion recognition and speech recognition."""
