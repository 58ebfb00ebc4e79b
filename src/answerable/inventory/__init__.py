"""Which packages are on which hosts, in which zones."""
