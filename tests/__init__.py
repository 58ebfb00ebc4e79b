"""The promises that answerable keeps and the attacks that it withstands, one a test."""
