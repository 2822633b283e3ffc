#!/usr/bin/env bash
# Builds the fuzz targets and runs each for the given time: tests/fuzz.sh SECONDS [TARGET...], all of them by default.
# A run starts from the committed seeds (fuzz/seeds/TARGET) and from what earlier runs found (fuzz/corpus/TARGET).
# Prints one line per target; fails if one of them crashes, hangs or takes too much memory.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.1
tools=.venv/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
build=${CARGO_TARGET_DIR:-target}/fuzz

if [ $# -eq 0 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: tests/fuzz.sh SECONDS [TARGET...]" >&2
    exit 2
fi
seconds=$1
shift
[ $# -gt 0 ] || set -- $(basename -s .rs fuzz/fuzz_targets/*.rs)

if [ "$("$tools/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $version" ]; then
    echo "Installing cargo-fuzz $version into $tools ..."
    cargo install cargo-fuzz --version "$version" --locked --quiet --root "$tools"
fi

# The dependencies are those of the product. cargo adds the fuzzer's own to the copy.
[ fuzz/Cargo.lock -nt Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock

# Without AddressSanitizer: our crates forbid `unsafe`, so what can be found is panics, overflows, hangs and memory, which
# need no sanitizer. Without one the build is faster, there are more runs per second, and the stable compiler is enough;
# with one it would need RUSTC_BOOTSTRAP=1. Debug assertions and overflow checks are on.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! PATH="$PWD/$tools/bin:$PATH" cargo fuzz build --sanitizer none --target-dir "$build" > "$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi

failed=0
for target in "$@"; do
    artifacts=fuzz/artifacts/$target
    mkdir -p "$artifacts" "fuzz/corpus/$target"
    # No input may take 10 seconds or 512 MB: a function has little more.
    if "$build/$triple/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="$artifacts/" "fuzz/corpus/$target" "fuzz/seeds/$target" > "$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        printf '%-10s %10s runs   ok\n' "$target" "$runs"
    else
        failed=1
        tail -n 40 "$log" >&2
        printf '%-10s FAILED: the input is in %s, run it with: %s FILE\n' "$target" "$artifacts" \
            "$build/$triple/release/$target"
    fi
done
exit "$failed"
