"""Plays the story through the real commands."""
