#!/usr/bin/env bash
# What ARCHITECTURE.md says of the crates, as far as a command can check it. Prints what is broken.
set -euo pipefail
cd "$(dirname "$0")/.."

broken=0
complain() {
    echo "invariant broken: $*" >&2
    broken=1
}

# not_linked PACKAGE CRATE...: none of the crates is linked into the package. Names may be patterns.
not_linked() {
    local package=$1 crate found
    shift
    local tree
    tree=$(cargo tree --locked --edges normal --prefix none --package "$package" --format '{p}' | cut -d ' ' -f 1 | sort -u)
    for crate in "$@"; do
        found=$(grep -xE "$crate" <<< "$tree" | paste -sd ' ') || true
        [ -z "$found" ] || complain "$package links $found"
    done
}

# The pipeline and the engine meet at Amazon's API and nowhere else.
not_linked shared engine rules
not_linked engine shared
not_linked csv_rows event mapping shared engine rules tokio 'aws-.*'
not_linked event shared engine rules tokio 'aws-.*'
not_linked mapping shared engine rules tokio 'aws-.*'
# Rules are text in, bool out.
not_linked rules event shared engine tokio 'aws-.*'
not_linked model shared engine rules tokio 'aws-.*'
not_linked rules model
# The API as data knows no table, and the tables know no operation.
not_linked protocol store engine rules model tokio 'aws-.*'
not_linked store engine
# What stands behind AWS's clients knows no command; the simulated shop and the measuring of models know no AWS.
not_linked local_aws fraudstream simulator evaluation clap
not_linked simulator fraudstream local_aws evaluation shared engine tokio 'aws-.*'
not_linked evaluation fraudstream local_aws simulator shared engine tokio 'aws-.*'
# What only a laptop needs makes a function larger and slower to start.
for function in predict ingest label forward webhook; do
    not_linked "$function" fraudstream local_aws 's3s.*' dynoxide-rs axum clap indicatif 'aws-lc-.*'
done

trees=$(for function in predict ingest label forward webhook; do
    cargo tree --locked --edges normal --prefix none --package "$function" --format '{p}|{f}' | sed 's/ (\*)$//'
done)
# Faults can be put back by tests alone.
! grep -q '^shared .*known-faults' <<< "$trees" || complain "a function is built with known-faults"
# `sam build` compiles the functions one after the other into one target directory. As long as they ask for the
# same features of what they share, the AWS SDK is compiled once and not four times.
found=$(sort -u <<< "$trees" | awk -F '|' '{ kinds[$1]++ } END { for (crate in kinds) if (kinds[crate] > 1) print crate }')
[ -z "$found" ] || complain "the functions take different features of"$'\n'"$found"

# Lines of Rust files outside tests: up to the test module, which comes last in a file.
code() {
    git ls-files --cached --others --exclude-standard -- "$@" | grep -vE '(^|/)(tests|benches)(/|\.rs)' |
        while read -r file; do
            [ -f "$file" ] && awk -v file="$file" '
                /^#\[cfg\(test\)\]/ { test = 1; next }
                test && /^#\[/ { next }
                test && /^mod [a-z_]+ \{/ { exit }
                { test = 0; print file ":" FNR ": " $0 }' "$file"
        done
}

# Only main.rs, and the options of the command line, read the environment: everything else gets values.
found=$(code '*.rs' | grep -vE '(^|/)(main|build)\.rs:' | grep -E 'env::(var|vars|var_os|vars_os)\b' || true)
[ -z "$found" ] || complain "the environment is read outside main.rs"$'\n'"$found"

# Whatever the pipeline says goes through tracing, where values are hidden.
found=$(code 'shared/*.rs' 'functions/*.rs' 'engine/*.rs' | grep -E '^[^:]*:[0-9]+: *[^/]*\b(println|eprintln|print|eprint|dbg)!' || true)
[ -z "$found" ] || complain "printed instead of traced"$'\n'"$found"

# The lint table forbids `unsafe`, but only where it is taken over. One crate, of tests alone, takes the place of a
# function of the C library, so that ids and hash maps can be seeded.
for manifest in $(git ls-files --cached --others --exclude-standard -- '*Cargo.toml' | grep -v '^Cargo.toml$' | grep -vE '^fuzz/|^tests/seeded/'); do
    grep -A 1 -Fx '[lints]' "$manifest" | grep -qFx 'workspace = true' || complain "$manifest does not take over the workspace's lints"
done
grep -qFx 'unsafe_code = "forbid"' Cargo.toml || complain "Cargo.toml does not forbid unsafe code"

# The graph of crates in ARCHITECTURE.md is Cargo's, and no modules use each other in a circle.
"${PYTHON:-python3}" tests/architecture.py || broken=1

exit "$broken"
