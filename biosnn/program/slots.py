"""Places in a time step of what happens between two presentations.

All of it happens at the beginning of a time step, in Brian2's slot ``start``, in the order of these
constants. The first group finishes the presentation that has ended, the second one begins the next.
"""

# The end of a presentation ...
STORE, CLEAR_EVENTS, LEARN, NORMALISE = -130, -125, -120, -90
CLEAR_COUNTS, ADVANCE, SNAPSHOT = -75, -70, -65
# ... and the beginning of the next one.
LOAD, BEGIN, RESET, FRAME, STEP_BEGINS, EVENTS, SUBEXPRESSIONS = -60, -50, -49, -48, -45, -44, -42
ONSET, INPUT = -40, -39
# Traces come after all else in this slot: they hold what the time step starts from.
TRACE = 10**6
