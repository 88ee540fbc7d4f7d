#!/usr/bin/env python3
"""How many tokens a pass over the weights brings with prompt lookup, on prompts of the kinds that it is made for and one that it is not.

    tools/measure_speculation.py MODEL.linnet [--linnet build/native/linnet] [--tokens 120] [--memory SIZE]

Each prompt is answered twice, without and with --speculate, at temperature 0: the answers must be the same, token for token.
Printed are the tokens of the answer, the passes that they took, tokens a pass, the share of guesses that came true, and the ratio of
the two times. Run it under a ceiling that makes the weights stream to see what it saves there. Standard library only.
"""
import argparse
import json
import subprocess
import sys

TEXT = ("The linnet is a small finch of open country. It nests low in gorse and bramble, feeds its young on seeds, and gathers in "
        "large flocks in winter, often with twites, on stubble fields and salt marshes. The male has a crimson breast in summer. "
        "In the nineteenth century linnets were kept as cage birds for their song, and laws were passed to protect them. The "
        "population fell by half between 1970 and 1990 as weeds disappeared from farmland, and has been stable since then.")
CODE = ("def read_rows(path):\n    rows = []\n    with open(path) as file:\n        for line in file:\n"
        "            rows.append(line.strip().split(','))\n    return rows\n")
PROMPTS = {
    "summarising": "Summarise this text in three sentences, close to its own words.\n\n" + TEXT,
    "editing": "Repeat this text word for word, but write \"bird\" in the place of \"finch\".\n\n" + TEXT,
    "editing code": "Rename the variable rows to table in this program and print the whole program.\n\n" + CODE,
    "retrieval": "Quote the sentence of this text that says what happened in the nineteenth century.\n\n" + TEXT,
    "free writing": "Tell me a story about a lighthouse keeper and a storm.",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--linnet", default="build/native/linnet")
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--memory")
    options = parser.parse_args()
    good = True
    print("  prompt         tokens  passes  tokens/pass  guesses that came true  tok/s against without")
    for name, prompt in PROMPTS.items():
        answers = {}
        for when in ["off", "on"]:
            command = [options.linnet, "run", options.model, "--chat", "--prompt", prompt, "-n", str(options.tokens),
                       "--temperature", "0", "--context", "1024", "--json", "--speculate", when]
            if options.memory:
                command += ["--memory", options.memory]
            answers[when] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        off, on = answers["off"], answers["on"]
        same = off["tokens"] == on["tokens"]
        good = good and same
        passes = max(1, on["passes"])
        print(f"  {name:13} {on['answer_tokens']:7} {passes:7} {(passes + on['accepted']) / passes:12.2f} "
              f"{on['accepted'] / max(1, on['drafted']) * 100:22.0f}% {on['decode_tokens_per_second'] / off['decode_tokens_per_second']:20.2f}"
              f"{'' if same else '  THE ANSWERS DIFFER'}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
