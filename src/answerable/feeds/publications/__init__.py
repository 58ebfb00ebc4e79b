"""The adapters of the port `publication`, one for each form in which the world publishes."""
