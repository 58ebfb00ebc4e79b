"""Private keys: made, kept at mode 0600, and what they sign; the kernel itself holds none."""
