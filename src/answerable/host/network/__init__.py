"""The host's ways to servers: HTTP, and the process that alone has a network."""
