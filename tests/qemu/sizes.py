"""What a board's image weighs, and how that compares with the record in sizes.txt."""
import os
import re

import image

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sizes.txt")
# A size may exceed its record by a hundredth, and the stack by what an interrupt puts on it, which comes when it comes.
SLACK = 0.01
STACK_SLACK = 256
# core_code has a limit whatever the record says: code and constants of the core on a Cortex-M55.
CORE_LIMIT = dict.fromkeys(["mps3_an547", "mps3_an547_stream", "mps3_an547_update"], 64 * 1024)

HEAD = """\
# What the boards' images weigh, in bytes. Written by: tests/qemu/run.sh --renew
# A test fails when something is larger than here by more than a hundredth (the stack: by more than 256 bytes).
#
# code          code and constants of the whole image, with the C library's memcpy, libsodium's SHA-256 and the board's own files
# core_code     of these, the core's (a Cortex-M55 may have 65536)
# variables     of the program; the core has none
# stack         that was used, by painting it
# arena         the one block that the core was given, and below it what the plan says that it is for
"""
FIELDS = ["code", "core_code", "variables", "stack", "arena", "weights", "ring", "kv", "activations", "tokenizer", "session", "other"]


def core_code(map_path):
    """Bytes of code and constants that the linker took from the core's library, by its map."""
    total, inside = 0, False
    section = re.compile(r"^ (?:\.\S+)?\s+0x[0-9a-f]+\s+0x([0-9a-f]+) \S*liblinnet\.a\(\S+\)$")
    name = ""
    with open(map_path, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("Linker script and memory map"):
                inside = True
            if not inside:
                continue
            begins = re.match(r"^ (\.\S+)", line)
            if begins:
                name = begins.group(1)
            found = section.match(line)
            if found and re.match(r"^\.(text|rodata|data)", name):
                total += int(found.group(1), 16)
    return total


def measure(elf, plan, stack):
    built = image.Image(elf)
    found = {"code": built.bytes_of(".text") + built.bytes_of(".data"), "core_code": core_code(elf[: -len(".elf")] + ".map"),
             "variables": int(plan["variables"]), "stack": stack}
    for field in FIELDS[4:]:
        found[field] = int(plan[field])
    return found


def line(found):
    ram = found["arena"] + found["variables"] + found["stack"]
    parts = ", ".join(f"{field} {found[field]}" for field in FIELDS[5:] if found[field])
    return (f"code {found['code']} (core {found['core_code']}), stack {found['stack']}, RAM {ram}: arena {found['arena']} ({parts}), "
            f"variables {found['variables']}, stack")


def recorded():
    record = {}
    with open(RECORD, encoding="utf-8") as lines:
        for text in lines:
            words = text.split()
            if words and not text.startswith("#"):
                record.setdefault(words[0], {})[words[1]] = int(words[2])
    return record


def grown(name, found):
    record = recorded().get(name, {})
    problems = []
    for field in FIELDS:
        if field not in record:
            problems.append(f"{field} is not in sizes.txt")
            continue
        slack = STACK_SLACK if field == "stack" else record[field] * SLACK
        if found[field] > record[field] + slack:
            problems.append(f"{field} is {found[field]}, was {record[field]}")
    if found["core_code"] == 0:
        problems.append("the core's code was not found in the linker's map")
    if found["core_code"] > CORE_LIMIT.get(name, found["core_code"]):
        problems.append(f"core_code is {found['core_code']}, the limit {CORE_LIMIT[name]}")
    return problems


def write(measured):
    record = recorded() if os.path.exists(RECORD) else {}
    record.update(measured)
    with open(RECORD, "w", encoding="utf-8") as out:
        out.write(HEAD)
        for name, found in record.items():
            out.write("\n")
            for field in FIELDS:
                out.write(f"{name:<18} {field:<12} {found[field]:>9}\n")
