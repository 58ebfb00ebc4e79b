"""Charter, standing authorizations, zones, conditions; decide, with reasons."""
