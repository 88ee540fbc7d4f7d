#!/usr/bin/env bash
# Times Linnet and wllama in turns in headless Chromium on this machine, and prints the medians and their ratios.
set -euo pipefail
SCRIPT_NAME=tools/peers/compare_browser.sh
# shellcheck source=tools/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"
# shellcheck source=tools/peers/common.sh
. "$LINNET_ROOT/tools/peers/common.sh"

help() {
    cat <<'TEXT'
Usage: tools/peers/compare_browser.sh [--gguf FILE | --shape NAME | --stories15m] [--linnet FILE] [--rounds N] [--threads "1 2"]
                                      [--prompt N] [--decode N] [--runtimes "linnet linnet-simd128 wllama-2 wllama-3 llama.cpp"]

Fetches wllama from npm (2.2.1, the last one with SIMD kernels, and 3.8.1) into build/peers, and runs both and Linnet's package in
turns in one headless Chromium, on the same weights, for each number of threads, for N rounds (3). Prints a table of medians in
tokens a second, and how many times as fast Linnet is.

  --gguf        a Q4_0 file: tools/peers/compare.sh --same-weights leaves one in build/peers. Linnet alone needs none
  --shape       random weights of a named shape in its place: phi-3-mini (2.2 GB, more than wllama 2 opens),
                phi-3-mini-30-layers, medium, small or stories15m
  --stories15m  the real stories15M in its place, in Q4_0: from the folder that LINNET_MODELS names, else fetched
  --linnet      the same, converted; default: it is converted into build/peers
  --prompt      tokens of the prompt (64), --decode: tokens after it, each a pass over the weights (24)
  --rounds      0: only make everything ready, so that a later run measures at once
  --runtimes    which ones. linnet-simd128: Linnet's build without relaxed SIMD, as in a browser that does not know it. llama.cpp:
                from npm, natively, its AVX2 build whatever the processor has, in turn with the others

Give the machine to this alone; a second program that computes makes the figures worthless.
TEXT
}

rounds=3 threads_list='1 2' prompt=64 decode=24 gguf='' shape='' stories15m=no model='' runtimes='linnet wllama-2 wllama-3'
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --stories15m) stories15m=yes ;;
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
[ -z "$shape" ] || gguf=$(make_shape "$shape")
[ $stories15m = no ] || gguf=$(make_stories15m)
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
work=$PEERS_FOLDER/browser
mkdir -p "$work"
case $runtimes in
    *wllama*)
        cp "$LINNET_ROOT/tools/peers/browser_package.json" "$work/package.json"
        if [ ! -d "$work/node_modules/wllama-3" ]; then
            say "Fetching wllama from npm ..."
            (cd "$work" && npm install --ignore-scripts --no-audit --no-fund --silent) >&2 || fail "npm cannot fetch wllama."
        fi
        ;;
esac
case $runtimes in *llama.cpp*) fetch_llama_cpp ;; esac
if [ -z "$model" ]; then
    linnet=$(build_linnet)
    model=$(convert_for_linnet "$gguf") || fail "Linnet cannot convert $gguf."
fi
[ "$rounds" -gt 0 ] || exit 0
"$node" "$LINNET_ROOT/tools/peers/browser.mjs" "$work" "${gguf:-$model}" "$model" --rounds "$rounds" \
    --threads "${threads_list// /,}" --prompt "$prompt" --decode "$decode" --runtimes "${runtimes// /,}" |
    tee "$work/results.jsonl" >&2

python3 - "$work/results.jsonl" <<'PYTHON'
import json, statistics, sys
runs = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
names = list(dict.fromkeys(run["runtime"] for run in runs))
def values(runtime, threads, what):
    return [run[what] for run in runs if run["runtime"] == runtime and run["threads"] == threads and what in run]
def median(*of):
    return statistics.median(values(*of))
for what, field in (("tokens of the prompt", "promptTokens"), ("tokens after it", "decodedTokens")):
    counts = {name: sorted({run[field] for run in runs if run["runtime"] == name}) for name in names}
    same = len(set(map(str, counts.values()))) == 1
    print(f"{what}: " + (", ".join(map(str, counts[names[0]])) + " in each" if same else f"NOT THE SAME: {counts}"))
print(f"\n{'tokens a second':24}" + "".join(f"{name:>16}" for name in names))
rows = [(threads, what) for threads in sorted({run["threads"] for run in runs}) for what in ("prefill", "decode")]
def label(threads, what):
    return f"{what}, {threads} thread" + ("s" if threads != 1 else "")
for row in rows:
    print(f"{label(*row):24}" + "".join(f"{median(name, *row):16.1f}" for name in names))
    if row[1] == "decode" and any("decodeOnly" in run for run in runs):
        parts = [values(name, row[0], "decodeOnly") for name in names]
        print(f"{'  without choosing':24}" + "".join(f"{statistics.median(part):16.1f}" if part else f"{'':16}" for part in parts))
for ours in (name for name in names if name.startswith("linnet")):
    others = [name for name in names if not name.startswith("linnet")]
    if others:
        print(f"\n{ours + ' is times':24}" + "".join(f"{name:>16}" for name in others))
        for row in rows:
            print(f"{label(*row):24}" + "".join(f"{median(ours, *row) / median(name, *row):16.2f}" for name in others))
PYTHON
