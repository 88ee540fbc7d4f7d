# What the scripts of tools/ share: where things are, how they speak, how they fail. Sourced, never run.
#
# shellcheck shell=bash disable=SC2034
#
# Standard output belongs to results (an answer, a path); everything said to the person goes to standard error.

LINNET_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# The exit code of the `linnet` command for what was asked wrongly, which the scripts keep.
EXIT_USAGE=2

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$SCRIPT_NAME: $*"
    exit 1
}

usage_error() {
    say "$SCRIPT_NAME: $*"
    say "Try: $SCRIPT_NAME --help"
    exit "$EXIT_USAGE"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Bytes as a person reads them: 322591712 -> 323 MB.
megabytes() { printf '%d MB' $((($1 + 500000) / 1000000)); }

file_size() { stat -c %s -- "$1" 2>/dev/null || echo 0; }

cpu_count() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }
