#!/usr/bin/env bash
# Builds the npm package: wasm/package.sh [--no-build]. The WebAssembly modules are built where they are missing or older than
# their sources; --no-build packs wasm/package/dist as it is. The tarball is build/npm/linnet-VERSION.tgz; its path is printed.
set -euo pipefail
SCRIPT_NAME=wasm/package.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tools/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"

[ "${1:-}" != --help ] || { sed -n '2,3s/^# //p' "$0"; exit 0; }

# stale MODULE: it is missing, or a source is newer.
stale() {
    [ -f "$1" ] || return 0
    [ -n "$(cd "$LINNET_ROOT" && find core platform tools/bench tools/converter wasm -path wasm/package -prune -o \
        -type f ! -name '*.sh' -newer "$1" -print -quit)" ]
}

case "${1:-}" in
    --no-build) [ -f "$LINNET_ROOT/wasm/package/dist/index.js" ] || fail "the package is not built. Please run: wasm/package.sh" ;;
    '')
        presets=()
        for preset in wasm-simd wasm-relaxed wasm-simd-threads wasm-relaxed-threads; do
            case $preset in wasm-simd) module=linnet_convert ;; *) module=linnet_module ;; esac
            if stale "$LINNET_ROOT/build/$preset/$module.wasm"; then presets+=("$preset"); fi
        done
        [ ${#presets[@]} -eq 0 ] || "$LINNET_ROOT/wasm/build.sh" "${presets[@]}"
        say "Building the npm package ..."
        build_package || fail "the package could not be built; build/package.log and build/npm.log have all of it."
        ;;
    *) usage_error "there is no option $1." ;;
esac

# What is packed stands in a folder of its own, with the licence beside it.
staged=$LINNET_ROOT/build/npm/package
rm -rf "$LINNET_ROOT/build/npm"
mkdir -p "$staged"
cp -r "$LINNET_ROOT/wasm/package/dist" "$LINNET_ROOT/wasm/package/package.json" "$LINNET_ROOT/wasm/package/README.md" \
    "$LINNET_ROOT/LICENSE" "$LINNET_ROOT/NOTICE" "$staged"
tarball=$(cd "$staged" && npm pack --silent --ignore-scripts --pack-destination ..) || fail "npm could not pack $staged."
printf '%s\n' "$LINNET_ROOT/build/npm/$tarball"
