"""What is behind a recording: its parts, and how other libraries get it."""
