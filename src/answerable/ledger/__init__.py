"""The two tiled logs: append, checkpoint, prove."""
