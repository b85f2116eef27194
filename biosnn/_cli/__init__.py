"""Behind ``biosnn.cli``: what its commands print and draw."""
