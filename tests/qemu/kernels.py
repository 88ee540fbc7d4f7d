"""The boards' kernels: each board compares its own with the scalar ones, by == (kernels/kernels.cpp), and the images are searched for
the instructions that the kernels are made of: a compiler flag that went missing leaves an image that works, and is many times slower.

    kernels.py BUILD_FOLDER    prints what a kernel costs on standard error, and "passed failed skipped" on standard output

QEMU is no measure of speed. With -icount shift=0 it takes a nanosecond of the board's clock for every instruction, so that the costs
are counts of instructions: comparable between tables, and no more than that.
"""
import collections
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boards  # noqa: E402
from boards import say  # noqa: E402

# Tables that a board must have, best first, and how its image is read.
BOARDS = {
    "mps3_an547": (boards.ARM + ["mps3-an547"], ["helium", "scalar"], ["arm-none-eabi-objdump", "-marmv8.1-m.main"]),
    "virt_aarch64": (boards.AARCH64 + ["virt"], ["neon-i8mm", "neon-dotprod", "neon", "scalar"], ["aarch64-linux-gnu-objdump"]),
}
KERNELS = ["matmul-int4", "matmul-int8", "matmul-f32", "quantize", "heads", "rms_norm", "add-rope", "swiglu", "softmax", "attention"]

# What must be in the functions of a namespace at least so many times; and what must be in no other function of Linnet's.
WANTED = {
    "mps3_an547": {"helium": {r"vmla(da)?va\.s8": 12, r"vmla(da)?va\.s16": 5, r"vmul\.f32": 20}},
    "virt_aarch64": {
        "neon": {r"smlal2?": 400, r"fdiv": 16, r"tbl": 8},
        "neon_dotprod": {r"sdot": 400},
        "neon_i8mm": {r"smmla": 100, r"sdot": 100},
    },
}
ONLY_THERE = {"neon_dotprod": r"sdot|udot|usdot", "neon_i8mm": r"[su]mmla|usmmla|usdot", "helium": r"v[a-z]+\.f(16|32) q"}
# Multiplications and additions with one rounding: nowhere. (Armv8-M's vmla and vmls for single numbers round twice.)
FUSED = re.compile(r"^(f(n)?m(add|sub)|fml[as]|vfn?m[as])\b")


class Run:
    """What the image of a board printed."""

    def __init__(self, build, board, machine):
        elf = os.path.join(build, board, f"linnet_{board}_kernels.elf")
        line = machine + ["-display", "none", "-monitor", "none", "-serial", "stdio", "-semihosting-config", "enable=on,target=native",
                          "-icount", "shift=0", "-kernel", elf]
        try:
            done = subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL, timeout=240)
            self.output, self.code = done.stdout.decode("utf-8", "replace"), done.returncode
        except subprocess.TimeoutExpired as expired:
            self.output, self.code = (expired.stdout or b"").decode("utf-8", "replace"), "none: it took too long"
        self.same = set(re.findall(r"^(\S+) (\S+) same [1-9]\d*$", self.output, re.MULTILINE))
        self.costs = {(table, what): int(cost) for table, what, cost in re.findall(r"^(\S+) (\S+) cost (\d+)$", self.output, re.MULTILINE)}


def compare(tests, build, board, machine, tables):
    run = Run(build, board, machine)
    if not tests.check(run.code == 0 and run.output.endswith("end\n"), f"{board}: its kernels ended with {run.code}: {run.output[-300:]}"):
        return
    tests.check(run.output.startswith(f"best {tables[0]}\n"), f"{board}: it does not take {tables[0]}")
    for table in tables[:-1]:
        for kernel in KERNELS:
            found = re.search(rf"^{table} {kernel} (.*)$", run.output, re.MULTILINE)
            tests.check((table, kernel) in run.same, f"{board}: {table}, {kernel}: {found.group(1) if found else 'not tested'}")
    say(f"{board}: every kernel gives the scalar one's bits. Instructions for 16 rows of 32 columns, 16 numbers, or a position of 64:")
    whats = list(dict.fromkeys(what for _, what in run.costs))
    say("  " + "".join(f"{name:>16}" for name in [""] + tables))
    for what in whats:
        say(f"  {what:>16}" + "".join(f"{run.costs[(table, what)]:>16}" for table in tables))


def instructions(objdump, elf):
    """For each function of an image its instructions, a mnemonic and what follows."""
    done = subprocess.run(objdump + ["-d", "--no-show-raw-insn", elf], capture_output=True, check=True)
    functions = {}
    here = []
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        begins = re.match(r"^[0-9a-f]+ <(\S+)>:$", line)
        if begins:
            here = functions.setdefault(begins.group(1), [])
        elif "\t" in line:
            here.append(line.split("\t", 1)[1].replace("\t", " "))
    return functions


def namespace_of(function):
    """linnet::NAME of a mangled name, also where NAME is what a template of ours was made for."""
    for name in ("neon_i8mm", "neon_dotprod", "helium", "neon"):
        if f"{len(name)}{name}" in function:
            return name
    return "linnet"


def search(tests, build, board, objdump):
    functions = instructions(objdump, os.path.join(build, board, f"linnet_{board}_kernels.elf"))
    ours = {name: lines for name, lines in functions.items() if re.match(r"^_ZN?K?6linnet", name) or "6linnet" in name}
    if not tests.check(len(ours) > 20, f"{board}: the image's functions were not found"):
        return
    counts = collections.defaultdict(collections.Counter)
    fused, strange = [], []
    for name, lines in ours.items():
        space = namespace_of(name)
        # The matrix products' table has the dot products too, for a single token.
        foreign = [pattern for owner, pattern in ONLY_THERE.items() if owner != space and (owner, space) != ("neon_dotprod", "neon_i8mm")]
        for line in lines:
            for pattern in WANTED[board].get(space, {}):
                counts[space][pattern] += bool(re.match(rf"({pattern})\b", line))
            if FUSED.match(line):
                fused.append(f"{name}: {line}")
            if any(re.match(rf"({pattern})", line) for pattern in foreign):
                strange.append(f"{name}: {line}")
    tests.check(not fused, f"{board}: multiplies and adds with one rounding: {fused[:3]}")
    tests.check(not strange, f"{board}: is compiled for more than it may be: {strange[:3]}")
    for space, wanted in WANTED[board].items():
        found = ", ".join(f"{counts[space][pattern]} {pattern}" for pattern in wanted)
        say(f"  {space}: {found}")
        for pattern, least in wanted.items():
            tests.check(counts[space][pattern] >= least, f"{board}: {counts[space][pattern]} {pattern} in {space}, wanted {least}")


def main():
    build = os.path.abspath(sys.argv[1])
    tests = boards.Tests()
    for board, (machine, tables, objdump) in BOARDS.items():
        compare(tests, build, board, machine, tables)
        search(tests, build, board, objdump)
    print(tests.passed, tests.failed, tests.skipped)
    return 0 if tests.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
