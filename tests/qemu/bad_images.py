"""Builds images with what must not be in one (bad_images/), and shows that it is found: by the linker script, which refuses exceptions
and static constructors, and by image.py, which knows all of them.

    bad_images.py BUILD_FOLDER    the folder of the preset mps3_an547; prints "passed failed skipped"
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import image  # noqa: E402

# Name, what image.py must say of it, what the linker must say.
IMAGES = [
    ("clean", None, None),
    ("allocation", "a heap", None),
    ("exception", "exceptions", "something was compiled with exceptions"),
    ("constructor", "static constructors", "something wants to run before main"),
]


def main():
    build, passed, failed = sys.argv[1], 0, 0
    for name, finding, refusal in IMAGES:
        elf = os.path.join(build, f"linnet_bad_{name}.elf")
        if os.path.exists(elf):
            os.remove(elf)  # so that it is linked, and spoken about, again
        done = subprocess.run(["cmake", "--build", build, "--target", f"linnet_bad_{name}"], capture_output=True, text=True)
        said = done.stdout + done.stderr
        if not os.path.exists(elf):
            failed += 1
            print(f"  failed: the image with {name} was not built:\n{said[-2000:]}", file=sys.stderr)
            continue
        found = image.findings(elf)
        right = any(line.startswith(finding) for line in found) if finding else not found
        refused = refusal is None or refusal in said
        if right and refused:
            passed += 1
        else:
            failed += 1
            print(f"  failed: of the image with {name} is said: {found or 'clean'}; by the linker: {said[-500:]}", file=sys.stderr)
    print(f"  images with a heap, an exception and a static constructor: {passed} of {len(IMAGES)} as they must be", file=sys.stderr)
    print(passed, failed, 0)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
