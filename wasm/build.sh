#!/usr/bin/env bash
# Builds the WebAssembly modules: wasm/build.sh [PRESET...], default all four. Each ends up in build/PRESET/linnet_module.mjs and
# .wasm; the SIMD instructions that must be in them are counted, and what loads is weighed. The converter for GGUF files is
# part of wasm-simd, as linnet_convert; `wasm/build.sh convert` builds it alone.
set -euo pipefail
SCRIPT_NAME=wasm/build.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tools/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"

[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
presets=("$@")
[ $# -gt 0 ] || presets=(wasm-simd wasm-relaxed wasm-simd-threads wasm-relaxed-threads)
# Everything that a page loads: wasm and glue.
MOST_GZIPPED=300000
# The converter, which is loaded only for a GGUF file.
MOST_GZIPPED_CONVERTER=150000

# weigh NAME MODULE MOST
weigh() {
    local gzipped=$(($(gzip -9c "$2.wasm" | wc -c) + $(gzip -9c "$2.mjs" | wc -c)))
    say "$1: $gzipped bytes gzipped (wasm and glue)"
    [ $gzipped -le "$3" ] || fail "$1 is larger than $3 bytes gzipped."
}

"$LINNET_ROOT/tools/install.sh" wasm
LINNET_EMXX=$("$LINNET_ROOT/tools/emscripten.sh")
export LINNET_EMXX
node=$("$LINNET_ROOT/tools/emscripten.sh" --node)
for preset in "${presets[@]}"; do
    say "Building $preset ..."
    targets=()
    if [ "$preset" = convert ]; then preset=wasm-simd targets=(linnet_convert); fi
    build_preset "$preset" ${targets[@]+"${targets[@]}"} ||
        fail "the build of $preset failed; build/$preset/build.log and configure.log have all of it."
    if [ "$preset" = wasm-simd ]; then weigh converter "$LINNET_ROOT/build/$preset/linnet_convert" $MOST_GZIPPED_CONVERTER; fi
    [ ${#targets[@]} -eq 0 ] || continue
    module=$LINNET_ROOT/build/$preset/linnet_module
    case $preset in *relaxed*) relaxed=(--relaxed) ;; *) relaxed=() ;; esac
    "$node" "$LINNET_ROOT/tests/wasm/count_opcodes.mjs" ${relaxed[@]+"${relaxed[@]}"} "$module.wasm" >&2 ||
        fail "the SIMD kernels are not in $module.wasm."
    weigh "$preset" "$module" $MOST_GZIPPED
done
