"""Snapshots of a host's file system before a change: the port, and one file a driver."""
