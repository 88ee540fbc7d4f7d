#!/usr/bin/env bash
# Installs a build, and builds a C program of somebody else's against it: by its CMake package, by pkg-config where that is there, and
# from the one pair of files that tools/amalgamate.py writes. All must give the command's logits, byte for byte.
#   tests/install/run.sh BUILD_FOLDER
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
consumer=$root/tests/install/consumer tokens=1,5,9,2,77,3 status=0

cmake --install "$build" --prefix "$work/installed" >"$work/log"
"$work/installed/bin/linnet" synth tiny "$work/tiny.linnet" >"$work/log" 2>&1
"$work/installed/bin/linnet" logits "$work/tiny.linnet" --tokens $tokens --out "$work/expected"

same() {
    local name=$1 program=$2
    if "$program" "$work/tiny.linnet" $tokens "$work/$name" && cmp -s "$work/expected" "$work/$name"; then
        echo "$name: the command's logits"
    else
        echo "$name: not the command's logits"
        status=1
    fi
}

cmake -S "$consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/installed" >"$work/log" && cmake --build "$work/cmake" >"$work/log" ||
    { cat "$work/log"; exit 1; }
same find_package "$work/cmake/consumer"

if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$work/installed" -name linnet.pc)") pkg-config --cflags --libs linnet)
    # shellcheck disable=SC2086  # words are wanted
    gcc -std=c11 -Wall -Wextra -Wpedantic -Werror "$consumer/main.c" $flags -o "$work/by_pkg_config"
    same pkg_config "$work/by_pkg_config"
else
    echo "skipped: pkg-config is not here"
fi

python3 -B "$root/tools/amalgamate.py" "$work/pair"
g++ -std=c++20 -O1 -fno-exceptions -fno-rtti -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -c "$work/pair/linnet.cpp" -o "$work/linnet.o"
gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$work/pair" "$consumer/main.c" "$work/linnet.o" -o "$work/from_pair"
same amalgamation "$work/from_pair"
exit $status
