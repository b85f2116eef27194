#!/bin/sh
# Runs the network of this job, chunk after chunk. A chunk's results get their name when they
# are complete, so whatever ends this script, the next start goes on after the last finished chunk.
set -eu
cd "$(dirname "$0")"

mkdir -p results || { echo "error: results/ cannot be made here" >&2; exit 1; }
say() { printf '%s %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$*" | tee -a results/log; }
fail() { say "error: $*" >&2; exit 1; }

# Whoever holds the lock works here; a binary that has lost its script holds it, too.
if command -v flock >/dev/null 2>&1; then
    exec 9>results/lock
    flock -w 1 9 || fail "another run.sh is at work in this folder; wait until it ends"
fi
if command -v sha256sum >/dev/null 2>&1; then
    sums="sha256sum"
elif command -v shasum >/dev/null 2>&1; then
    sums="shasum -a 256"
else
    fail "neither sha256sum nor shasum is here: install one (Debian/Ubuntu: apt install coreutils)"
fi
if ! $sums -c checksums >results/check 2>&1; then
    fail "the job is damaged ($(grep -v ': OK$' results/check | head -n 1)): copy it again"
fi
rm -f results/check

# What can be done about an error of CUDA.
gpu_remedy() {
    case $1 in
        *"no kernel image"* | *"invalid device function"*)
            echo "; it was built for @ARCH@, not for this GPU: remove network/main and start again" \
                "with ARCH=sm_NN of this one (nvidia-smi --query-gpu=compute_cap --format=csv)" ;;
        *"driver version is insufficient"* | *"no CUDA-capable device"*)
            echo "; there is no GPU here, or its driver is older than CUDA (see nvidia-smi): ask the" \
                "cluster for a GPU, update the driver, or compile with an older CUDA" ;;
        *"out of memory"*)
            echo "; the GPU has too little free memory (see nvidia-smi): wait, or use a larger one" ;;
    esac
}

if [ ! -e network/main ]; then
    command -v make >/dev/null 2>&1 || fail "there is no make: install it, or load its module"
    say "compiling the network"
    if ! make -C network >results/make.log 2>&1; then
        tail -n 12 results/make.log >&2
        fail "the network did not compile (results/make.log): it needs @NEEDS@"
    fi
    rm -f results/make.log
fi
# Without settings it says how it is used. A shell may read a foreign binary as a script.
status=0
(cd network && ./main) >results/probe 2>&1 </dev/null || status=$?
if ! grep -q '^usage: main SETTINGS' results/probe; then
    case $status in
        132) fail "network/main uses instructions that this CPU does not have: remove it and" \
            "start again, then it is compiled here; or build the job without --arch" ;;
        *) fail "network/main does not start on this machine ($(uname -m), status $status:" \
            "$(head -n 1 results/probe | cut -c 1-200)). If it was built for another machine," \
            "remove it and start again, then it is compiled here" ;;
    esac
fi
rm -f results/probe

machine="$(uname -srm)"
if [ -r /proc/cpuinfo ]; then
    machine="$machine; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
fi
if command -v nvidia-smi >/dev/null 2>&1; then
    machine="$machine; $(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)"
fi
grep -qxF "$machine" results/machines 2>/dev/null || printf '%s\n' "$machine" >>results/machines

child=
stopped=
stop() {
    stopped=$1
    if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null || :; fi
}
trap 'stop 143' TERM
trap 'stop 130' INT

total=$(wc -l <chunks/plan | tr -d ' ')
number=0
while read -r chunk samples kib; do
    number=$((number + 1))
    finished=results/chunk-$chunk
    if [ -d "$finished" ]; then continue; fi
    where="chunk $number of $total"
    free=$(df -Pk results | awk 'END { print $4 }')
    if [ "$free" -lt $((kib + 16384)) ]; then
        fail "the disk is nearly full: $where needs $((kib + 16384)) KiB, $free KiB are free; free" \
            "some and start again"
    fi
    say "$where: $samples samples"
    rm -rf results/work
    mkdir -p results/work
    cp "chunks/$chunk.settings" results/work/settings
    (cd network && exec ./main "../chunks/$chunk.settings") \
        >results/said 2>results/complaints </dev/null &
    child=$!
    # A child that has ended already is waited for, too; a signal ends a wait early.
    status=0
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    child=
    if [ -n "$stopped" ]; then
        say "stopped in $where; start it again to go on with this chunk"
        exit "$stopped"
    fi
    said=$(head -n 3 results/complaints | cut -c 1-300)
    case $status in
        0) ;;
        4) fail "$where: a state variable became NaN or infinite (name, index, sample: $said):" \
            "lower the learning rate or the time step, or check the equations" ;;
        132) fail "$where uses instructions that this CPU does not have: remove network/main and" \
            "start again, then it is compiled here" ;;
        2) fail "$where stopped. It said: ${said:-nothing}$(gpu_remedy "$said")" ;;
        137) fail "$where was killed: give it more memory (--mem in job.slurm), then start again" ;;
        *) fail "$where stopped with status $status. It said: ${said:-nothing}" ;;
    esac
    if [ -n "$said" ]; then fail "$where said: $said"; fi
    tail -n 1 results/said >results/work/finished
    read -r word count _ _ seconds <results/work/finished || :
    if [ "${word:-}" != finished ] || [ "${count:-}" != "$samples" ]; then
        fail "$where ended before its $samples samples were shown; start it again"
    fi
    (cd results/work && $sums -- *) >results/sums
    mv results/sums results/work/checksums
    mv results/work "$finished"
    rm -f results/said results/complaints
    say "$where: done in $seconds s"
done <chunks/plan

say "all $total chunks are there: copy the folder results/ back, and run: biosnn collect DIR"
