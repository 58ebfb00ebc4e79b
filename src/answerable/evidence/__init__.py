"""The trail of a change: verify, explain, pack."""
