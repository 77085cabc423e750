"""The evaluator: the only room that knows of batches, chunks, devices, and of where inner products come from."""
