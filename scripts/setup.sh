#!/usr/bin/env bash
# Prepare .venv for biosnn: "core" is what the package needs to run, "full" adds PyTorch, brian2cuda
# and the developers' tools. Says in one sentence what is missing on this machine.
#
# usage: scripts/setup.sh [core|full]     (PYTHON=... and CXX=... choose the interpreter and compiler)
set -euo pipefail

die() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

mode=${1:-core}
case $mode in
    core | full) ;;
    *) die "unknown mode '$mode': use 'core' or 'full'." ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
venv=.venv
python=$venv/bin/python

# A stamp says what was installed where: a changed requirement, or a moved folder, makes it stale.
state="$root $(cat pyproject.toml requirements.txt scripts/setup.sh | cksum)"
stamped() { [[ -f $venv/.biosnn-$1 && $(<"$venv/.biosnn-$1") == "$state" ]]; }
python_works() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }

if [[ ! -e $venv/.biosnn-busy ]] && { stamped full || { [[ $mode == core ]] && stamped core; }; } \
    && python_works "$python"; then
    exit 0
fi

# --- what the machine must bring
for tool in git make; do
    command -v "$tool" >/dev/null 2>&1 \
        || die "'$tool' is missing: install it with your package manager, e.g. 'sudo apt install $tool'."
done

scratch=$(mktemp -d) || die "no temporary folder can be made: point TMPDIR to a folder with space."
trap 'rm -rf "$scratch"' EXIT
printf '#include <iostream>\nint main() { std::cout << "hello"; }\n' >"$scratch/hello.cpp"
compiles() { # $CXX may hold flags, so it is split into words
    # shellcheck disable=SC2086
    $1 "$scratch/hello.cpp" -o "$scratch/hello" >"$scratch/log" 2>&1 && [[ $("$scratch/hello") == hello ]]
}
if [[ -n ${CXX:-} ]]; then
    compiles "$CXX" || die "the C++ compiler CXX='$CXX' cannot build a hello world: unset CXX or name a working one."
elif compiles g++; then
    :
elif compiles clang++; then
    printf "setup: only clang++ works here: run 'export CXX=clang++' so that Brian2 uses it outside make, too.\n" >&2
else
    die "no working C++ compiler: install one, e.g. 'sudo apt install g++', or on macOS 'xcode-select --install'."
fi

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.12 python3.13 python3; do
        if python_works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        [[ $candidate != "${PYTHON:-}" ]] \
            || die "PYTHON='$PYTHON' is not a Python 3.12 or newer: unset it or name one."
    done
    die "no Python 3.12 or newer: install one, e.g. 'sudo apt install python3.12 python3.12-venv', and name it with PYTHON=/path/to/python3.12."
}

# --- the environment; one that is unfinished or was interrupted is made anew
if [[ -e $venv/.biosnn-busy ]] || ! python_works "$python" || ! "$python" -m pip --version >/dev/null 2>&1 \
    || ! { [[ ! -e $venv/.biosnn-core ]] || grep -qF "$root " "$venv/.biosnn-core"; }; then
    base=$(find_python)
    "$base" -c 'import ensurepip, venv' >/dev/null 2>&1 \
        || die "'$base' cannot make virtual environments: install its venv module, e.g. 'sudo apt install python3.12-venv'."
    printf 'setup: making %s with %s\n' "$venv" "$("$base" --version 2>&1)" >&2
    rm -rf "$venv"
    mkdir "$venv" && touch "$venv/.biosnn-busy"
    "$base" -m venv "$venv" >"$scratch/log" 2>&1 \
        || die "'$base -m venv $venv' failed: $(tail -n 1 "$scratch/log")"
fi

touch "$venv/.biosnn-busy"
if [[ ! -x $venv/bin/uv ]]; then
    "$python" -m pip install --quiet --disable-pip-version-check --constraint requirements.txt uv \
        || die "pip could not install uv: check the network, or 'pip config list' for a wrong index."
fi
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
uv_install() {
    local status=0
    "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$python" --editable . "$@" || status=$?
    [[ $status -ne 0 ]] || return 0
    [[ $status -ge 128 ]] || rm -f "$venv/.biosnn-busy" # uv refused before it touched anything
    die "uv could not install the packages: its reason is in the lines above."
}
if [[ $mode == full ]]; then
    printf 'setup: installing the pinned development set, PyTorch included (several GB the first time)\n' >&2
    uv_install --requirement requirements.txt
    printf '%s\n' "$state" >"$venv/.biosnn-full"
else
    printf 'setup: installing biosnn and what it needs to run\n' >&2
    uv_install --constraint requirements.txt
fi
printf '%s\n' "$state" >"$venv/.biosnn-core"
rm -f "$venv/.biosnn-busy"
printf 'setup: %s is ready (%s)\n' "$venv" "$mode" >&2
