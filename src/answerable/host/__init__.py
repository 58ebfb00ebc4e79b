"""The agent and the gates on a host: follow, verify, act, report."""
