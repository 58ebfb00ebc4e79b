"""The front door at the terminal; no rule lives here."""
