"""Autonomous patching that named people answer for."""
