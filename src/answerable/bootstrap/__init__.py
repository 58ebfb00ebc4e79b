"""Composition: the only place that joins ports to adapters and reads the clock."""
