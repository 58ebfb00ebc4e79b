"""Exposures to plans: discrete changes, orders, rings, undo."""
