"""What a host must believe: records to State; order, State and now to Permit or Refused. Pure."""
