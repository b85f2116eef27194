"""Behind ``biosnn.doctor``: facts about this machine."""
