#!/usr/bin/env bash
# One state root from every build and on every processor that can be had here: crates/node/tests/exact.sh [--quick]
#
# Rows are builds, plans of the executor and processors (emulated ones where qemu-user is installed: Debian's package
# qemu-user), columns the instruction set asked for and the number of threads. A cell is the time in seconds, or "-" where
# the processor lacks the instructions; any other root than the committed one is an error. --quick leaves out emulation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR=$target

readonly THREADS="1 2 3 8" LEVELS="scalar neon avx2 avx512"
failures=0

# row <name> <command…>: runs it in all columns.
row() {
    local name=$1 level threads started message
    shift
    printf '%-28s' "$name"
    for level in $LEVELS; do
        for threads in $THREADS; do
            started=$EPOCHREALTIME
            if message=$(SIP_SIMD=$level SIP_THREADS=$threads "$@" 2>&1); then
                printf '%8s' "$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $started }")"
            elif [[ $message == *"this processor has only"* ]]; then
                printf '%8s' -
            else
                printf '%8s' WRONG
                echo "$name, $level, $threads threads: $message" >>"$log"
                failures=$((failures + 1))
            fi
        done
    done
    echo
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo build --quiet --locked -p sip-node --example state_root
cargo build --quiet --locked --release -p sip-node --example state_root
readonly release=$target/release/examples/state_root debug=$target/debug/examples/state_root

printf '%-28s' "seconds"
for level in $LEVELS; do
    for threads in $THREADS; do printf '%8s' "$level"; done
done
printf '\n%-28s' "threads"
for level in $LEVELS; do
    for threads in $THREADS; do printf '%8s' "$threads"; done
done
echo
row "this processor, release" "$release"
for plan in whole kept micro-batches recompute; do
    row "  $plan" "$release" "$plan"
done
row "this processor, debug" "$debug"
if [[ ${1:-} != --quick ]]; then
    if command -v qemu-x86_64 >/dev/null; then
        # Haswell has AVX2 and FMA and no AVX-512, Nehalem none of them.
        row "Haswell (emulated), release" qemu-x86_64 -cpu Haswell "$release"
        row "Nehalem (emulated), release" qemu-x86_64 -cpu Nehalem "$release"
    else
        echo "emulated processors are left out: there is no qemu-x86_64"
    fi
    # Another architecture altogether: Debian's packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
    readonly arm=aarch64-unknown-linux-gnu
    if command -v qemu-aarch64 aarch64-linux-gnu-gcc >/dev/null && [[ -e $(rustc --print target-libdir --target $arm) ]]; then
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        cargo build --quiet --locked --release --target $arm -p sip-node --example state_root
        row "aarch64 (emulated), release" qemu-aarch64 -L /usr/aarch64-linux-gnu "$target/$arm/release/examples/state_root"
    else
        echo "aarch64 is left out: there is no qemu-aarch64, aarch64-linux-gnu-gcc or Rust target $arm"
    fi
fi
if ((failures)); then
    cat "$log" >&2
    echo "exact.sh: $failures runs gave another root or failed" >&2
    exit 1
fi
echo "all runs gave the committed state root"
