#!/usr/bin/env bash
# Builds the WebAssembly modules: wasm/build.sh [PRESET...], default all four. Each ends up in build/PRESET/linnet_module.mjs and
# .wasm; the SIMD instructions that must be in them are counted, and what loads is weighed.
set -euo pipefail
SCRIPT_NAME=wasm/build.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tools/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"

[ "${1:-}" != --help ] || { sed -n '2,3s/^# //p' "$0"; exit 0; }
presets=("$@")
[ $# -gt 0 ] || presets=(wasm-simd wasm-relaxed wasm-simd-threads wasm-relaxed-threads)
# Everything that a page loads: wasm and glue.
MOST_GZIPPED=300000

"$LINNET_ROOT/tools/install.sh" wasm
LINNET_EMXX=$("$LINNET_ROOT/tools/emscripten.sh")
export LINNET_EMXX
node=$("$LINNET_ROOT/tools/emscripten.sh" --node)
for preset in "${presets[@]}"; do
    say "Building $preset ..."
    build_preset "$preset" || fail "the build of $preset failed; build/$preset/build.log and configure.log have all of it."
    module=$LINNET_ROOT/build/$preset/linnet_module
    case $preset in *relaxed*) relaxed=(--relaxed) ;; *) relaxed=() ;; esac
    "$node" "$LINNET_ROOT/tests/wasm/count_opcodes.mjs" ${relaxed[@]+"${relaxed[@]}"} "$module.wasm" >&2 ||
        fail "the SIMD kernels are not in $module.wasm."
    gzipped=$(($(gzip -9c "$module.wasm" | wc -c) + $(gzip -9c "$module.mjs" | wc -c)))
    say "$preset: $gzipped bytes gzipped (wasm and glue)"
    [ $gzipped -le $MOST_GZIPPED ] || fail "$preset is larger than $MOST_GZIPPED bytes gzipped."
done
