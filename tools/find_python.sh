#!/bin/sh
# Print the Python to set up with: $PYTHON if it is given, else the first that will do.
set -eu

usable='import sys; sys.exit(sys.version_info < (3, 11) or sys.implementation.name != "cpython")'
complete="import ensurepip, venv; $usable"

if [ -n "${PYTHON:-}" ]; then
    if ! found=$("$PYTHON" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null); then
        echo "PYTHON=$PYTHON does not run; give the name or path of a CPython 3.11 or newer." >&2
        exit 1
    fi
    if ! "$PYTHON" -c "$usable"; then
        echo "PYTHON=$PYTHON is version $found; procession needs CPython 3.11 or newer." >&2
        exit 1
    fi
    echo "$PYTHON"
    exit
fi

# One that cannot make virtual environments is the last resort; it is explained there.
for test in "$complete" "$usable"; do
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.15 python; do
        if "$name" -c "$test" >/dev/null 2>&1; then
            echo "$name"
            exit
        fi
    done
done

cat >&2 <<END
Python 3.11 or newer is missing (looked for python3, python3.11 to python3.15 and python in PATH).
Found: $(python3 --version 2>/dev/null || echo 'no python3 at all').
Install one and run this again:
    Debian, Ubuntu   sudo apt install python3 python3-venv
    Fedora           sudo dnf install python3
    anywhere         https://www.python.org/downloads/
or name one that is elsewhere: make ... PYTHON=/path/to/python3.13
END
exit 1
