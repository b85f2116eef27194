"""The long validations: the library against closed forms and against what was published."""
