#!/usr/bin/env bash
# The tests of the WebAssembly builds, under Node: the kernels' unit tests, SIMD instructions counted, and the module against the
# native command, bit for bit; so too the conversion of GGUF files. tests/wasm/run.sh [PRESET...], where "convert" is that
# conversion alone; LINNET names the native command, LINNET_MODELS a folder of models.
set -euo pipefail
SCRIPT_NAME=tests/wasm/run.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"

presets=("$@")
[ $# -gt 0 ] || presets=(wasm-simd wasm-relaxed wasm-simd-threads wasm-relaxed-threads)
command=$(find_linnet || true)
[ -n "$command" ] || command=$(build_linnet)
"$LINNET_ROOT/wasm/build.sh" "${presets[@]}"
node=$("$LINNET_ROOT/tools/emscripten.sh" --node)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$command" synth tiny "$work/tiny.linnet" >&2
models=("$work/tiny.linnet")
stories=${LINNET_MODELS:-$LINNET_ROOT/models}
if [ ! -f "$stories/stories15m.linnet" ] && [ -f "$stories/stories15M/stories15M.bin" ]; then
    "$command" convert "$stories/stories15M/stories15M.bin" "$work/stories15m.linnet" >/dev/null 2>&1
    stories=$work
fi
if [ -f "$stories/stories15m.linnet" ]; then
    models+=("$stories/stories15m.linnet")
else
    say "Left out: stories15M, since $stories has neither stories15m.linnet nor stories15M/ (tools/get_model.sh stories15m fetches it)."
fi

passed=0 failed=0
check() {
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        # Engines print the whole line of a glue file of one line.
        say "failed: $*"
        cut -c1-300 "$work/log" | tail -n 20 >&2
    fi
}
# The modules are the ones that ship, whose glue is for a browser's worker.
as_browser=("$node" --import "$LINNET_ROOT/tests/wasm/as_browser.mjs")
for preset in "${presets[@]}"; do
    [ "$preset" != convert ] || continue
    folder=$LINNET_ROOT/build/$preset
    check "$node" "$LINNET_ROOT/tests/wasm/unit.mjs" "$folder/linnet_wasm_unit.mjs"
    case $preset in *threads) most=2 ;; *) most=1 ;; esac
    check "${as_browser[@]}" "$LINNET_ROOT/tests/wasm/storage.mjs" "$folder/linnet_module.mjs" $most "${models[0]}"
    for model in "${models[@]}"; do
        case $preset in *threads) counts=(1 2) ;; *) counts=(1) ;; esac
        for threads in "${counts[@]}"; do
            check "${as_browser[@]}" "$LINNET_ROOT/tests/wasm/model.mjs" "$folder/linnet_module.mjs" "$threads" "$model" "$command"
        done
    done
done
# The converter: the file that the package loads, with the package's own front of it. It is a part of wasm-simd.
test_converter() {
    local counts=(0 1) python=/usr/bin/python3 package=$LINNET_ROOT/wasm/package
    [ -x $python ] || python=python3
    "$python" -B "$LINNET_ROOT/tests/wasm/make_ggufs.py" "$work/gguf" >&2 && npm_install "$package" &&
        "$node" "$package/node_modules/esbuild/bin/esbuild" "$package/src/convert/converter.ts" --bundle --format=esm \
            --log-level=warning --outfile="$work/converter.mjs" >&2 &&
        read -ra counts < <("$node" "$LINNET_ROOT/tests/wasm/convert.mjs" "$work/converter.mjs" \
            "$LINNET_ROOT/build/wasm-simd/linnet_convert.mjs" "$LINNET_ROOT/build/wasm-simd/linnet_convert.wasm" "$work/gguf" "$command")
    passed=$((passed + counts[0])) failed=$((failed + counts[1]))
}
case " ${presets[*]} " in *" wasm-simd "* | *" convert "*) test_converter ;; esac

say "wasm: $passed passed, $failed failed"
printf '%d %d\n' $passed $failed
[ $failed -eq 0 ]
