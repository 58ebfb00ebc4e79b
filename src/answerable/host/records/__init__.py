"""What this host writes down and tells: journal, progress, reports, inventory."""
