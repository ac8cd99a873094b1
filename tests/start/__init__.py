"""One file a file of src/procession/start."""
