"""Passes: what networks add to models, as functions from a program to a program."""
