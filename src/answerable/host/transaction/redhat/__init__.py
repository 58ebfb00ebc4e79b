"""The transaction for rpm: its packages, its database, its family of rules."""
