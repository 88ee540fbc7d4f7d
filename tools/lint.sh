#!/usr/bin/env bash
# Checks the form of the code: clang-format, clang-tidy, shellcheck, prettier, TypeScript's types.
set -euo pipefail
SCRIPT_NAME=tools/lint.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"

help() {
    cat <<'TEXT'
Usage: tools/lint.sh [--fix] [format|tidy|shell|web|types ...]

  format   every C and C++ file, with clang-format-19
  tidy     those of core/, platform/ and tools/converter/, with clang-tidy-19: a short list of checks that find mistakes
           (.clang-tidy). It reads how files are compiled from build/native
  shell    every script, with shellcheck
  web      every TypeScript, JavaScript and CSS file, with prettier (.prettierrc.json)
  types    the TypeScript of the package and of the page, with the compiler; the page's needs the package to be built

Prettier and the compiler come from npm; where that cannot be reached, the two are skipped.

Options:
  --fix      let clang-format and prettier rewrite the files
  --counts   print only "passed failed skipped" on standard output
  --help     this text
TEXT
}

fix=no counts=no checks=()
for argument in "$@"; do
    case $argument in
        --help | -h) help; exit 0 ;;
        --fix) fix=yes ;;
        --counts) counts=yes ;;
        format | tidy | shell | web | types) checks+=("$argument") ;;
        *) usage_error "there is no option $argument." ;;
    esac
done
[ ${#checks[@]} -gt 0 ] || checks=(format tidy shell web types)
cd "$LINNET_ROOT"

passed=0 failed=0 skipped=0
verdict() {
    local name=$1 bad=$2 all=$3
    passed=$((passed + all - bad)) failed=$((failed + bad))
    say "$name: $all files, $bad of them with something to mend"
}

# Files that git knows or would know: not what is built or fetched.
ours() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -f "$file" ] || printf '%s\n' "$file"; done; }

check_format() {
    local files bad
    mapfile -t files < <(ours '*.h' '*.hpp' '*.c' '*.cpp')
    if [ $fix = yes ]; then clang-format-19 -i "${files[@]}"; fi
    bad=$(printf '%s\n' "${files[@]}" | xargs -n 8 clang-format-19 --dry-run --Werror --ferror-limit=1 2>&1 | tee -a /dev/stderr |
        grep -oE '^[^ :]+:[0-9]+:[0-9]+: error' | cut -d: -f1 | sort -u | wc -l) || true
    verdict clang-format "$bad" ${#files[@]}
    [ "$bad" -eq 0 ] || say "tools/lint.sh --fix format mends these."
}

check_tidy() {
    local files bad logs
    [ -f build/native/compile_commands.json ] || fail "clang-tidy wants build/native: run cmake --preset native && cmake --build build/native first."
    # Files that are compiled natively: compile_commands.json has one "file" line for each. What a stranger's bytes can reach;
    # the command and the tests spend minutes in other people's headers.
    mapfile -t files < <(sed -n 's/^ *"file": "\(.*\/\(core\|platform\|tools\/converter\)\/.*\.cpp\)",\{0,1\}$/\1/p' build/native/compile_commands.json | sort -u)
    logs=$(mktemp -d)
    # shellcheck disable=SC2016  # expanded by the inner shell
    printf '%s\n' "${files[@]}" | xargs -P "$(cpu_count)" -n 1 sh -c \
        'clang-tidy-19 -p build/native --quiet "$2" >"$1/$(echo "$2" | tr / _)" 2>/dev/null || echo "$2" >>"$1/failed"' sh "$logs" || true
    bad=0
    if [ -f "$logs/failed" ]; then
        bad=$(wc -l <"$logs/failed")
        while read -r file; do cat "$logs/$(echo "$file" | tr / _)" >&2; done <"$logs/failed"
    fi
    rm -rf "$logs"
    verdict clang-tidy "$bad" ${#files[@]}
}

check_shell() {
    local files bad=0 file
    mapfile -t files < <(ours '*.sh' .ci/run)
    for file in "${files[@]}"; do
        shellcheck --severity=warning --shell=bash --external-sources --source-path=SCRIPTDIR "$file" >&2 || bad=$((bad + 1))
    done
    verdict shellcheck "$bad" ${#files[@]}
}

# What comes from npm may be out of reach, which is no fault of the code.
skip() {
    skipped=$((skipped + 1))
    say "skipped: $*"
}

check_web() {
    local files bad node prettier=$LINNET_ROOT/tools/lint/node_modules/prettier/bin/prettier.cjs
    mapfile -t files < <(ours '*.ts' '*.tsx' '*.mjs' '*.js' '*.css')
    node=$(web_node) && npm_install "$LINNET_ROOT/tools/lint" || { skip "prettier cannot be fetched from npm"; return; }
    if [ $fix = yes ]; then "$node" "$prettier" --log-level=warn --write "${files[@]}"; fi
    bad=$("$node" "$prettier" --list-different "${files[@]}" | tee -a /dev/stderr | wc -l) || true
    verdict prettier "$bad" ${#files[@]}
    [ "$bad" -eq 0 ] || say "tools/lint.sh --fix web mends these."
}

check_types() {
    local folder node files
    for folder in wasm/package web_demo; do
        node=$(web_node) && npm_install "$LINNET_ROOT/$folder" || { skip "$folder: its types need packages from npm"; continue; }
        mapfile -t files < <(ours "$folder/*.ts" "$folder/*.tsx")
        if (cd "$folder" && "$node" node_modules/typescript/bin/tsc --noEmit -p .) >&2; then
            verdict "types of $folder" 0 ${#files[@]}
        else
            verdict "types of $folder" 1 ${#files[@]}
        fi
    done
}

for check in "${checks[@]}"; do "check_$check"; done
[ $counts = no ] || printf '%d %d %d\n' $passed $failed $skipped
[ $failed -eq 0 ]
