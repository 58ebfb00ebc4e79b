"""What a host must believe: records to State, order and State and now to Permit or Refused; pure."""
