"""Look again by another way: observations, findings, advances."""
