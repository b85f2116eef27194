"""Behind ``biosnn.storage``: files and their checks."""
