#!/usr/bin/env bash
# The boards under QEMU: their images are built, looked into, run, compared with the native command, and weighed; and the core's unit
# tests for AArch64 Linux under qemu-aarch64. tests/qemu/run.sh [--renew], which writes tests/qemu/sizes.txt anew; LINNET names the
# native command, LINNET_MODELS a folder of models. Needs the packages of "tools/install.sh boards".
set -euo pipefail
SCRIPT_NAME=tests/qemu/run.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"

renew=()
for argument in "$@"; do
    case $argument in
        --renew) renew=(--renew) ;;
        *) usage_error "there is no option $argument." ;;
    esac
done
python=/usr/bin/python3
[ -x $python ] || python=python3

command=$(find_linnet || true)
[ -n "$command" ] || command=$(build_linnet)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0 failed=0 skipped=0
count() {
    local numbers=(0 1 0)
    [ -z "$1" ] || read -ra numbers <<<"$1"
    passed=$((passed + numbers[0])) failed=$((failed + numbers[1])) skipped=$((skipped + numbers[2]))
}

# The models that the boards run. small: stories260K, and for updates others of its shape, one that the board has room for and one that it
# has not; where stories260K is not at hand, models with random weights. stories15m: left out where it is not at hand.
models=${LINNET_MODELS:-$LINNET_ROOT/models}
small=$models/stories260K/stories260K.bin
if [ -f "$small" ]; then
    "$command" convert "$small" "$work/small.linnet"
    "$command" convert "$small" "$work/small_other.linnet" --weights int8
    "$command" convert "$small" "$work/small_large.linnet" --weights f32
else
    "$command" synth micro-llama "$work/small.linnet" --seed 1
    "$command" synth micro-llama "$work/small_other.linnet" --seed 2
    "$command" synth tiny-llama "$work/small_large.linnet"
fi >/dev/null 2>&1
if [ -f "$models/stories15M/stories15M.bin" ]; then
    "$command" convert "$models/stories15M/stories15M.bin" "$work/stories15m.linnet" >/dev/null 2>&1
fi

sodium=$("$LINNET_ROOT/tools/sodium.sh")
built=yes
for board in mps3_an547 mps2_an500 virt_aarch64; do
    say "== $board: building"
    CMAKE_ARGUMENTS=("-DLINNET_SODIUM_SOURCE=$sodium")
    build_preset $board || { built=no; count "0 1 0"; }
done
CMAKE_ARGUMENTS=()
if [ $built = yes ]; then
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/boards.py" "$command" "$LINNET_ROOT/build" "$work" ${renew[@]+"${renew[@]}"})" || true
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/kernels.py" "$LINNET_ROOT/build")" || true
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/bad_images.py" "$LINNET_ROOT/build/mps3_an547")" || true
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/update.py" "$command" "$LINNET_ROOT/build/mps3_an547" "$work" ${renew[@]+"${renew[@]}"})" || true
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/ports.py")" || true
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/firmware.py" "$command" "$LINNET_ROOT/build/mps3_an547" "$work")" || true
fi

# The core for AArch64 Linux: the unit tests and whole models, with every kernel, on processors that have it and that have not.
say "== aarch64: building and testing"
if build_preset aarch64 linnet_unit linnet_logits; then
    count "$("$python" -B "$LINNET_ROOT/tests/qemu/aarch64.py" "$command" "$LINNET_ROOT/build/aarch64" "$work")" || true
else
    count "0 1 0"
fi

say "boards: $passed passed, $failed failed, $skipped skipped"
printf '%d %d %d\n' $passed $failed $skipped
[ $failed -eq 0 ]
