#!/usr/bin/env bash
# Run the tests that touch Brian2 most with its newest version, in an environment of its own.
#
# Brian2 2.11 needs Python 3.13, and brian2cuda pins 2.10.1: .venv has the one, .venv-newest the other.
# usage: scripts/test-newest.sh [options of pytest]     (PYTHON_NEWEST=... names the interpreter)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base=${PYTHON_NEWEST:-python3.13}
"$base" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1 || {
    printf "test-newest: '%s' is no Python 3.13 or newer: name one with PYTHON_NEWEST=/path/to/python.\n" "$base" >&2
    exit 1
}
venv=.venv-newest
if [[ ! -e $venv/.ready || pyproject.toml -nt $venv/.ready || requirements.txt -nt $venv/.ready ]]; then
    printf 'test-newest: making %s with the newest Brian2, without PyTorch\n' "$venv" >&2
    rm -rf "$venv"
    "$base" -m venv --without-pip "$venv"
    # All else has the versions of requirements.txt.
    .venv/bin/uv pip install --quiet --python "$venv/bin/python" --editable . \
        --constraint <(grep -v '^brian2' requirements.txt) \
        'brian2>=2.11' pytest pytest-xdist hypothesis
    touch "$venv/.ready"
fi
"$venv/bin/python" -c 'import brian2, sys; print(f"Brian2 {brian2.__version__}, Python {sys.version.split()[0]}")'
exec "$venv/bin/python" -m pytest -q -n 2 --dist worksteal "$@" \
    tests/analytic tests/published tests/test_code_gate.py tests/test_exact_traces.py tests/test_models.py \
    tests/test_order_and_scope.py tests/test_randomness.py tests/test_simulation.py \
    tests/test_state_and_time.py tests/test_synapses.py
