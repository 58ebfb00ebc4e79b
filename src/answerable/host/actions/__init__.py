"""Typed actions of a change, and those that are changes of their own."""
