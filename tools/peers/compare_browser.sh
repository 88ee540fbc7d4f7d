#!/usr/bin/env bash
# Times Linnet and wllama in turns in headless Chromium on this machine, and prints the medians and their ratios.
set -euo pipefail
SCRIPT_NAME=tools/peers/compare_browser.sh
# shellcheck source=tools/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"

help() {
    cat <<'TEXT'
Usage: tools/peers/compare_browser.sh [--gguf FILE | --shape NAME] [--linnet FILE] [--rounds N] [--threads "1 2"] [--prompt N]
                                      [--decode N] [--runtimes "linnet linnet-simd128 wllama-2 wllama-3 llama.cpp"]

Fetches wllama from npm (2.2.1, the last one with SIMD kernels, and 3.8.1) into a temporary folder, and runs both and Linnet's
package in turns in one headless Chromium, on the same weights, for each number of threads, for N rounds (3). Prints a table of
medians in tokens a second, and how many times as fast Linnet is.

  --gguf      a Q4_0 file: tools/peers/compare.sh --same-weights leaves one in build/peers. Linnet alone needs none
  --shape     random weights of a named shape in its place, as tools/peers/compare.sh has them; wllama does not open those
  --linnet    the same, converted; default: it is converted into the temporary folder
  --runtimes  which ones. linnet-simd128: Linnet's build without relaxed SIMD, as in a browser that does not know it. llama.cpp:
              from npm, natively, its AVX2 build whatever the processor has, in turn with the others

Give the machine to this alone; a second program that computes makes the figures worthless.
TEXT
}

rounds=3 threads_list='1 2' prompt=64 decode=24 gguf='' shape='' model='' runtimes='linnet wllama-2 wllama-3'
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --gguf | --shape | --linnet | --rounds | --threads | --prompt | --decode | --runtimes)
            [ $# -ge 2 ] || usage_error "$1 wants a value."
            case $1 in
                --gguf) gguf=$2 ;; --shape) shape=$2 ;; --linnet) model=$2 ;; --rounds) rounds=$2 ;;
                --threads) threads_list=$2 ;; --prompt) prompt=$2 ;; --decode) decode=$2 ;; --runtimes) runtimes=$2 ;;
            esac
            shift ;;
        *) usage_error "there is no option $1." ;;
    esac
    shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$shape" ]; then
    gguf=$work/$shape.gguf
    say "Making random weights of the shape $shape ..."
    python3 "$LINNET_ROOT/tools/peers/random_gguf.py" "$shape" "$gguf" || fail "cannot make them."
fi
case $runtimes in
    *llama*) [ -f "$gguf" ] || usage_error "--gguf wants a file: tools/peers/compare.sh --same-weights leaves one in build/peers." ;;
    *) [ -f "$model" ] || [ -f "$gguf" ] || usage_error "--linnet or --gguf wants a file." ;;
esac
node=$(web_node)
npm_install "$LINNET_ROOT/tests/browser" || fail "npm cannot fetch playwright-core."
if [ ! -f "$LINNET_ROOT/wasm/package/dist/index.js" ]; then
    "$LINNET_ROOT/wasm/build.sh"
    build_package || fail "the package cannot be built; build/package.log has all of it."
fi
case $runtimes in
    *wllama*)
        cp "$LINNET_ROOT/tools/peers/browser_package.json" "$work/package.json"
        say "Fetching wllama from npm ..."
        (cd "$work" && npm install --ignore-scripts --no-audit --no-fund --silent) >&2 || fail "npm cannot fetch wllama."
        ;;
esac
case $runtimes in
    *llama.cpp*)
        mkdir "$work/native"
        cp "$LINNET_ROOT"/tools/peers/{package.json,llama_cpp.py} "$work/native/"
        say "Fetching llama.cpp from npm ..."
        (cd "$work/native" && npm install --ignore-scripts --no-audit --no-fund --silent) >&2 ||
            fail "npm cannot fetch @node-llama-cpp/linux-x64."
        ;;
esac
if [ -z "$model" ]; then
    model=$work/model.linnet
    linnet=$(build_linnet)
    "$linnet" convert "$gguf" "$model" >&2
fi
"$node" "$LINNET_ROOT/tools/peers/browser.mjs" "$work" "${gguf:-$model}" "$model" --rounds "$rounds" --threads "${threads_list// /,}" \
    --prompt "$prompt" --decode "$decode" --runtimes "${runtimes// /,}" | tee "$work/results.jsonl" >&2

python3 - "$work/results.jsonl" <<'PYTHON'
import json, statistics, sys
runs = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
names = list(dict.fromkeys(run["runtime"] for run in runs))
def median(runtime, threads, what):
    return statistics.median(run[what] for run in runs if run["runtime"] == runtime and run["threads"] == threads)
print(f"{'tokens a second':24}" + "".join(f"{name:>16}" for name in names))
rows = [(threads, what) for threads in sorted({run["threads"] for run in runs}) for what in ("prefill", "decode")]
def label(threads, what):
    return f"{what}, {threads} thread" + ("s" if threads != 1 else "")
for row in rows:
    print(f"{label(*row):24}" + "".join(f"{median(name, *row):16.1f}" for name in names))
for ours in (name for name in names if name.startswith("linnet")):
    others = [name for name in names if not name.startswith("linnet")]
    if others:
        print(f"\n{ours + ' is times':24}" + "".join(f"{name:>16}" for name in others))
        for row in rows:
            print(f"{label(*row):24}" + "".join(f"{median(ours, *row) / median(name, *row):16.2f}" for name in others))
PYTHON
