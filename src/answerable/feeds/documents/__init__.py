"""Documents, before anybody reads what they say: fetched within limits, kept, unpacked."""
