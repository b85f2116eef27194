"""Check what works on this machine, and say what to do about what does not.

Every check is a function that returns one :class:`Check` and leaves nothing behind. Packages are
imported in child processes: a broken one is a finding here, not a crash, and this process stays
free of Brian2's global state. Nothing is printed; ``biosnn doctor`` does that.
"""

from biosnn.doctor.checks import Check, as_json, exit_status, run_checks
