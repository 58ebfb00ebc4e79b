"""The transaction for dpkg: its packages, its database, its family of rules."""
