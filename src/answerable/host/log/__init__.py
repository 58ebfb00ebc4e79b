"""The authority log as this host knows it: followed, fresh, kept."""
