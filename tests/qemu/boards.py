"""Runs the boards' images under QEMU and compares what they say with the desktop's command: the text, and the hash of all logits.

    boards.py LINNET BUILD_FOLDER MODELS_FOLDER [--renew]

Prints for each image its text, hash, code size, stack and RAM to standard error, and "passed failed skipped" to standard output.
Sizes are compared with sizes.txt beside this file; --renew writes them there instead.
"""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import image  # noqa: E402
import sizes  # noqa: E402

PROMPTS = ["Once upon a time", "Zo\u00eb had 5 \u20ac and"]
ARM = ["qemu-system-arm", "-M"]
AARCH64 = ["qemu-system-aarch64", "-cpu", "max", "-m", "2G", "-nic", "none", "-M"]


class Board:
    def __init__(self, name, preset, machine, model, tokens, address=None):
        self.name = name  # of the image, without linnet_
        self.preset = preset
        self.machine = machine
        self.model = model
        self.tokens = tokens  # that the board's program generates at most
        self.address = address  # where a loader puts the model; None: the program reads it from the host

    def command(self, elf):
        semihosting = "enable=on,target=native"
        if self.address is None:
            semihosting += f",arg={self.model}"
        line = self.machine + ["-display", "none", "-monitor", "none", "-serial", "stdio", "-semihosting-config", semihosting]
        if self.address is not None:
            line += ["-device", f"loader,file={self.model},addr={self.address:#x},force-raw=on"]
        return line + ["-kernel", elf]


BOARDS = [
    Board("mps3_an547", "mps3_an547", ARM + ["mps3-an547"], "small.linnet", 32, 0x28000000),
    Board("mps3_an547_stream", "mps3_an547", ARM + ["mps3-an547"], "stories15m.linnet", 8),
    Board("mps2_an500", "mps2_an500", ARM + ["mps2-an500"], "stories15m.linnet", 24, 0x60000000),
    Board("virt_aarch64", "virt_aarch64", AARCH64 + ["virt"], "stories15m.linnet", 24, 0x50000000),
]

ANSWER = re.compile(r"^> (?P<prompt>[^\n]*)\n(?P<text>.*?)\ntokens: prompt  (?P<prompt_tokens>\d+) in_microseconds (?P<prefill>\d+) answer (?P<count>\d+) "
                    r"in_microseconds (?P<decode>\d+) bytes_streamed (?P<streamed>\d+)\nlogits: (?P<hash>[0-9a-f]{64})\n"
                    r"stack: used (?P<stack>\d+) of (?P<stack_of>\d+)\n", re.MULTILINE | re.DOTALL)


class Tests:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, truth, what):
        if truth:
            self.passed += 1
        else:
            self.failed += 1
            say(f"  failed: {what}")
        return truth


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(text):
    """What tools/test.sh shows also when all is well, in the file that LINNET_BOARD_REPORT names."""
    say(text)
    if "LINNET_BOARD_REPORT" in os.environ:
        with open(os.environ["LINNET_BOARD_REPORT"], "a", encoding="utf-8") as out:
            out.write(text + "\n")


def linnet(command, *arguments, text=None):
    done = subprocess.run([command, *arguments], input=text, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def desktop_tokens(command, model, prompt, count):
    """The text that the desktop has for this prompt, and all tokens, those of the prompt included, as `linnet logits` wants them."""
    answer = json.loads(linnet(command, "run", model, "--prompt", prompt, "--temperature", "0", "-n", str(count), "--json"))
    generated = [str(piece["id"]) for piece in answer["tokens"] if piece["id"] >= 0][: answer["answer_tokens"]]
    ids = linnet(command, "tokenize", model, text=prompt.encode("utf-8")).split()
    if len(ids) < answer["prompt_tokens"]:
        ids = linnet(command, "tokenize", "--bos", model, text=prompt.encode("utf-8")).split()
    return answer["text"], ",".join(ids + generated)


def desktop(command, model, prompt, count):
    """The text, the number of tokens and the hash of the logits that the desktop has for this prompt."""
    text, tokens = desktop_tokens(command, model, prompt, count)
    digest = linnet(command, "logits", model, "--tokens", tokens, "--hash").strip()
    return text, tokens.count(",") + 1, digest


def plan_of(output):
    """The plan that a board has printed, by name."""
    return dict(re.findall(r" (\w+) (\d+)", re.search(r"^memory:(.*)$", output, re.MULTILINE).group(1)))


def run_board(tests, board, command, build, models, measured):
    elf = os.path.join(build, board.preset, f"linnet_{board.name}.elf")
    model = os.path.join(models, board.model)
    if not os.path.exists(model):
        tests.skipped += 1
        say(f"{board.name}: skipped, there is no {board.model}")
        return
    found = image.findings(elf)
    tests.check(not found, f"{board.name}: its image has {'; '.join(found)}")
    lines = "".join(prompt + "\n" for prompt in PROMPTS) + "\n"
    try:
        done = subprocess.run(board.command(elf), input=lines.encode("utf-8"), capture_output=True, cwd=models, timeout=240)
        output, code = done.stdout.decode("utf-8", "replace"), done.returncode
        problem = done.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as expired:
        output, code, problem = (expired.stdout or b"").decode("utf-8", "replace"), "none: it took too long", ""
    answers = list(ANSWER.finditer(output))
    if not tests.check(code == 0 and output.endswith("> end\n") and len(answers) == len(PROMPTS), f"{board.name}: it ended with {code}"):
        say(output + problem)
        return
    plan = plan_of(output)
    kernels = re.search(r"^kernels: (\S+)$", output, re.MULTILINE).group(1)
    report(f"  {board.name}: {board.model}, kernels {kernels}")
    for prompt, answer in zip(PROMPTS, answers):
        text, count, digest = desktop(command, model, prompt, board.tokens)
        report(f"    > {prompt}{answer['text']}")
        report(f"    logits {answer['hash']}, {answer['prompt_tokens']} + {answer['count']} tokens")
        tests.check(answer["prompt"] == prompt and answer["text"] == text 
                    and int(answer["prompt_tokens"]) + int(answer["count"]) == count,
                    f"{board.name}: its text is not the desktop's, which is: {text}")
        tests.check(answer["hash"] == digest, f"{board.name}: the hash of its logits is not the desktop's, {digest}")
    if board.address is None:
        tests.check(int(answers[-1]["streamed"]) > os.path.getsize(model), f"{board.name}: it has not streamed the model")
    else:
        tests.check(int(plan["in_place"]) > 0, f"{board.name}: the model is not used in place")
    stack = max(int(answer["stack"]) for answer in answers)
    tests.check(stack < int(answers[-1]["stack_of"]), f"{board.name}: the stack was used up")
    measured[board.name] = sizes.measure(elf, plan, stack)
    report("    " + sizes.line(measured[board.name]))


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--renew"]
    command, build, models = (os.path.abspath(argument) for argument in arguments)
    tests, measured = Tests(), {}
    for board in BOARDS:
        run_board(tests, board, command, build, models, measured)
    if "--renew" in sys.argv:
        sizes.write(measured)
        say("tests/qemu/sizes.txt is written anew.")
    else:
        for name, now in measured.items():
            grown = sizes.grown(name, now)
            tests.check(not grown, f"{name}: it has grown: {'; '.join(grown)}. If that is meant: tests/qemu/run.sh --renew")
    print(tests.passed, tests.failed, tests.skipped)
    return 0 if tests.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
