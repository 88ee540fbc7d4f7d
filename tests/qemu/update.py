"""A board with two slots takes updates: one that somebody else has signed, and must be refused; one that brings another model, as a
difference to the one in use; and one whose model does not open there, for want of memory. After each, the model in use answers with the
desktop's text and logits.

    update.py LINNET BUILD_FOLDER MODELS_FOLDER [--renew]    prints "passed failed skipped"
"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import boards  # noqa: E402
import image  # noqa: E402
import sizes  # noqa: E402

PROMPT, NAME = "Once upon a time", "mps3_an547_update"


def run(elf, folder):
    line = boards.ARM + ["mps3-an547", "-display", "none", "-monitor", "none", "-serial", "stdio",
                         "-semihosting-config", "enable=on,target=native", "-kernel", elf]
    done = subprocess.run(line, input=f"{PROMPT}\n\n".encode(), capture_output=True, cwd=folder, timeout=240)
    return done.stdout.decode("utf-8", "replace")


def main():
    command, build, models = (os.path.abspath(argument) for argument in sys.argv[1:4])
    elf = os.path.join(build, "linnet_mps3_an547_update.elf")
    old, new, large = (os.path.join(models, f"small{name}.linnet") for name in ("", "_other", "_large"))
    tests = boards.Tests()
    found = image.findings(elf)
    tests.check(not found, f"update: its image has {'; '.join(found)}")
    with tempfile.TemporaryDirectory() as work:
        path = lambda name: os.path.join(work, name)
        for name in ("signing", "foreign"):
            boards.linnet(command, "update", "keys", path(name))
        make = lambda out, model, release, key, *more: json.loads(boards.linnet(
            command, "update", "make", model, path(out), "--release", str(release), "--key", path(key), "--json", *more))
        make("first", old, 1, "signing")
        make("bad", new, 2, "foreign")
        made = make("good", new, 2, "signing", "--from", old)
        make("large", large, 3, "signing")
        boards.linnet(command, "update", "format", path("device.img"), "--bytes", "4MiB")
        boards.linnet(command, "update", "apply", path("device.img"), path("first"), "--key", path("signing.pub"))
        with open(path("signing.pub"), encoding="ascii") as text, open(path("key"), "wb") as key:
            key.write(bytes.fromhex(text.read().strip()))
        for update, said, release, model in (("bad", "not signed", 1, old), ("good", "taken", 2, new)):
            os.replace(path(update), path("update"))
            output = run(elf, work)
            answer = boards.ANSWER.search(output)
            text, _, digest = boards.desktop(command, model, PROMPT, 16)
            right = (re.search(rf"^update: .*{said}", output, re.MULTILINE) and f"slot: release {release}\n" in output and answer
                     and answer["text"] == text and answer["hash"] == digest)
            if tests.check(right, f"update: with the update that is {update} the board says: {output[:600]}"):
                boards.report(f"  an update that is {update}: release {release} is in use, logits {answer['hash']}")
        os.replace(path("large"), path("update"))
        output = run(elf, work)
        tests.check("slot: release 3\n" in output and output.endswith("rolled back\n"),
                    f"update: with a model that does not open the board says: {output[:600]}")
        os.remove(path("update"))
        output = run(elf, work)
        answer = boards.ANSWER.search(output)
        if tests.check("slot: release 2\n" in output and answer and answer["hash"] == digest,
                       f"update: after going back the board says: {output[:600]}"):
            boards.say("  an update whose model does not open: rolled back, release 2 is in use")
        state = json.loads(boards.linnet(command, "update", "show", path("device.img"), "--json"))
        slot = state["slots"][state["active"]]
        tests.check(slot["release"] == 2 and not state["on_trial"] and slot["sha256"] == made["sha256"],
                    f"update: the board has not confirmed the new model: {state}")
    if answer:
        now = sizes.measure(elf, boards.plan_of(output), int(answer["stack"]))
        boards.report(f"  {NAME}: {sizes.line(now)}")
        if "--renew" in sys.argv:
            sizes.write({NAME: now})
        else:
            grown = sizes.grown(NAME, now)
            tests.check(not grown, f"{NAME}: it has grown: {'; '.join(grown)}. If that is meant: tests/qemu/run.sh --renew")
    print(tests.passed, tests.failed, tests.skipped)
    return 0 if tests.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
