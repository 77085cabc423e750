"""Who does the extraction: one process, several processes, or a Ray cluster."""
