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
Usage: tools/peers/compare_browser.sh --gguf FILE [--linnet FILE] [--rounds N] [--threads "1 2"] [--prompt N] [--decode N]

Fetches wllama from npm (2.2.1, the last one with SIMD kernels, and 3.8.1) into a temporary folder, and runs both and Linnet's
package in turns in one headless Chromium, on the same weights, for each number of threads, for N rounds (3). Prints a table of
medians in tokens a second, and how many times as fast Linnet is.

  --gguf    a Q4_0 file: tools/peers/compare.sh --same-weights leaves one in build/peers
  --linnet  the same, converted; default: it is converted into the temporary folder

Give the machine to this alone; a second program that computes makes the figures worthless.
TEXT
}

rounds=3 threads_list='1 2' prompt=64 decode=24 gguf='' model=''
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --gguf | --linnet | --rounds | --threads | --prompt | --decode)
            [ $# -ge 2 ] || usage_error "$1 wants a value."
            case $1 in
                --gguf) gguf=$2 ;; --linnet) model=$2 ;; --rounds) rounds=$2 ;;
                --threads) threads_list=$2 ;; --prompt) prompt=$2 ;; --decode) decode=$2 ;;
            esac
            shift ;;
        *) usage_error "there is no option $1." ;;
    esac
    shift
done
[ -f "$gguf" ] || usage_error "--gguf wants a file: tools/peers/compare.sh --same-weights leaves one in build/peers."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node=$(web_node)
npm_install "$LINNET_ROOT/tests/browser" || fail "npm cannot fetch playwright-core."
if [ ! -f "$LINNET_ROOT/wasm/package/dist/index.js" ]; then
    "$LINNET_ROOT/wasm/build.sh"
    build_package || fail "the package cannot be built; build/package.log has all of it."
fi
cp "$LINNET_ROOT/tools/peers/browser_package.json" "$work/package.json"
say "Fetching wllama from npm ..."
(cd "$work" && npm install --ignore-scripts --no-audit --no-fund --silent) >&2 || fail "npm cannot fetch wllama."
if [ -z "$model" ]; then
    model=$work/model.linnet
    linnet=$(build_linnet)
    "$linnet" convert "$gguf" "$model" >&2
fi
"$node" "$LINNET_ROOT/tools/peers/browser.mjs" "$work" "$gguf" "$model" --rounds "$rounds" --threads "${threads_list// /,}" \
    --prompt "$prompt" --decode "$decode" | tee "$work/results.jsonl" >&2

python3 - "$work/results.jsonl" <<'PYTHON'
import json, statistics, sys
runs = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
def median(runtime, threads, what):
    return statistics.median(run[what] for run in runs if run["runtime"] == runtime and run["threads"] == threads)
print(f"{'tokens a second':28}{'linnet':>9}{'wllama 2.2.1':>14}{'wllama 3.8.1':>14}{'times 2.2.1':>13}{'times 3.8.1':>13}")
for threads in sorted({run["threads"] for run in runs}):
    for what in ("prefill", "decode"):
        ours, two, three = (median(name, threads, what) for name in ("linnet", "wllama-2", "wllama-3"))
        label = f"{what}, {threads} thread" + ("s" if threads != 1 else "")
        print(f"{label:28}{ours:9.1f}{two:14.1f}{three:14.1f}{ours / two:13.1f}{ours / three:13.1f}")
PYTHON
