"""The durable workflow: rings, soak, gates, halt, undo."""
