"""Match advisories to packages, rank, explain."""
