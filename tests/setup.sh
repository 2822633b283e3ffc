#!/usr/bin/env bash
# Makes the Python environments under .venv/: tests/setup.sh [ministack] [sam] [tools], all of them by default.
# Each has its own because their pins of botocore differ. One that is up to date is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "tests/setup.sh: Python 3.10 or newer is needed, '$python' is $("$python" --version 2>&1 | head -n 1)." >&2
    echo "Install one, or name it: PYTHON=python3.12 make test" >&2
    exit 1
fi

[ $# -gt 0 ] || set -- ministack sam tools
for venv in "$@"; do
    requirements=tests/python/requirements-$venv.txt
    if [ ! -f "$requirements" ]; then
        echo "tests/setup.sh: there is no $requirements" >&2
        exit 1
    fi
    # The hash also holds the place: an environment does not survive being moved.
    hash=$({ "$python" --version; pwd; cat "$requirements"; } | sha256sum | cut -d ' ' -f 1)
    stamp=.venv/$venv/stamp
    if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ]; then
        continue
    fi
    echo "Setting up .venv/$venv from $requirements ..."
    rm -rf ".venv/$venv"
    "$python" -m venv ".venv/$venv"
    ".venv/$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    # Last, so that an interrupted run starts over.
    echo "$hash" > "$stamp"
done
