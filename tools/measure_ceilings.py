#!/usr/bin/env python3
"""Holds a model of phi-3-mini's true shape to ceilings, and reports what the operating system says of it.

    tools/measure_ceilings.py [--linnet build/native/linnet] [--folder build/ceilings] [--groups 128 64]
                              [--ceilings 2e9 1.5e9 1e9 500e6 250e6] [--tokens 4096] [--decode 16] [--direct on]

For each group a model with random weights is made in the folder (about 2 GB each, kept until --delete). Under each ceiling,
with a context of 4096 tokens, two processes run:
    linnet logits   the hash of the logits after --tokens random tokens; the process's peak resident memory (ru_maxrss)
    linnet bench    tokens a second of decoding after a short prompt, bytes streamed a token, the storage's rate, the share
The run fails when two hashes differ or when a peak is above its ceiling. Takes from minutes to hours, as the
processor and --tokens have it: a part of no test run. Standard library only.
"""
import argparse
import json
import os
import subprocess
import sys
import time


def run(arguments):
    """Standard output, seconds, and peak resident bytes of a process."""
    start = time.monotonic()
    process = subprocess.Popen([str(one) for one in arguments], stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: exit code {process.returncode}")
    return out.decode(), time.monotonic() - start, usage.ru_maxrss * 1024


def tokens(count, vocabulary):
    state = 1
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (state >> 33) % vocabulary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linnet", default="build/native/linnet")
    parser.add_argument("--folder", default="build/ceilings")
    parser.add_argument("--shape", default="phi-3-mini")
    parser.add_argument("--groups", nargs="+", type=int, default=[128, 64])
    parser.add_argument("--ceilings", nargs="+", type=float, default=[2e9, 1.5e9, 1e9, 500e6, 250e6])
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=4096, help="that are evaluated for the hash and the peak")
    parser.add_argument("--decode", type=int, default=16, help="tokens that are decoded for the speed; 0: no speed")
    parser.add_argument("--repeat", type=int, default=1, help="rounds of decoding; the median counts")
    parser.add_argument("--direct", default="auto", choices=["auto", "on", "off"])
    parser.add_argument("--kv", default="int8")
    parser.add_argument("--delete", action="store_true", help="delete the models at the end")
    options = parser.parse_args()

    os.makedirs(options.folder, exist_ok=True)
    ids = os.path.join(options.folder, "tokens")
    with open(ids, "w") as file:
        file.write(",".join(map(str, tokens(options.tokens, 32000))))
    good = True
    for group in options.groups:
        model = os.path.join(options.folder, f"{options.shape}-g{group}.linnet")
        if not os.path.exists(model):
            run([options.linnet, "synth", options.shape, model, "--group", group])
        hashes = set()
        print(f"{options.shape}, group {group}, {os.path.getsize(model) / 1e9:.2f} GB, context {options.context}, "
              f"{options.tokens} tokens evaluated, --direct {options.direct}, --kv {options.kv}")
        print("  ceiling       plan   peak RSS  above plan  seconds  decode tok/s  streamed/token  storage GB/s  bound  share  "
              "hash")
        for ceiling in options.ceilings:
            common = [model, "--memory", int(ceiling), "--context", options.context, "--direct", options.direct, "--kv",
                      options.kv]
            plan = json.loads(run([options.linnet, "plan", *common, "--json", "--no-measure"])[0])
            out, seconds, peak = run([options.linnet, "logits", *common, "--tokens", "@" + ids, "--last", "--hash"])
            hashes.add(out.strip())
            above = peak - plan["total_bytes"]
            fits = peak <= ceiling
            good = good and fits
            line = (f"  {ceiling / 1e6:5.0f} MB {plan['total_bytes'] / 1e6:7.1f} MB {peak / 1e6:7.1f} MB {above / 1e6:8.1f} MB "
                    f"{seconds:8.0f} ")
            if options.decode != 0:
                bench = json.loads(run([options.linnet, "bench", *common, "--prompt", 8, "--decode", options.decode, "--repeat",
                                        options.repeat, "--no-cold", "--json"])[0])
                line += (f"{bench['decode_tokens_per_second']:13.2f} {bench['streamed_bytes_per_token'] / 1e6:12.1f} MB "
                         f"{bench['storage_bytes_per_second'] / 1e9:13.2f} {bench['storage_bound_tokens_per_second']:6.2f} "
                         f"{bench['share_of_storage_bound'] * 100:5.0f}%")
            print(f"{line}  {out.strip()[:12]}{'' if fits else '  ABOVE THE CEILING'}", flush=True)
        if len(hashes) != 1:
            print("  THE HASHES DIFFER")
            good = False
        if options.delete:
            os.remove(model)
    os.remove(ids)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
