"""The scenes of the story, and who plays in them."""
