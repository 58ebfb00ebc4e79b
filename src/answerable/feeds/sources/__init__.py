"""The adapters of the port `source`, and what they read of a distribution."""
