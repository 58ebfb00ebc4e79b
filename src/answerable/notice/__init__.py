"""Tell people, hold the veto window, collect approvals and vetoes."""
