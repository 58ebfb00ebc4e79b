"""Cosigns consistent heads, mirrors contents, holds vetoes; a process and a key of its own."""
