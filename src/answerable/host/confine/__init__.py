"""Less rights: for the agent itself, and for the package tools that it runs."""
