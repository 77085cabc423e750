"""What every benchmark needs: timing, child processes, memory, synthetic embeddings."""
