"""Reads the JUnit file that ctest writes and counts what really ran.

One ctest test can hold many cases: a doctest program and a Python unittest say how many, and are counted by that.
Prints three numbers (passed, failed, skipped), then a line for each failure and each thing left out.
A test leaves a thing out by printing a line that begins with "skipped:" and the reason, or with exit code 77.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

DOCTEST = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
LEFT_OUT = re.compile(r"^skipped:\s*(.*)$", re.MULTILINE | re.IGNORECASE)
UNITTEST_SKIPPED = re.compile(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", re.MULTILINE)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_BAD = re.compile(r"^FAILED \((?:failures=(\d+))?(?:, )?(?:errors=(\d+))?", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(path):
    passed = failed = skipped = 0
    notes = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        output = COLOUR.sub("", case.findtext("system-out") or "")
        ok = case.get("status") == "run" and case.find("failure") is None
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            reasons = LEFT_OUT.findall(output)
            skipped += 1
            notes.append(f"skipped: {name}: {'; '.join(reasons) or 'it says no reason'}")
            continue
        doctest = DOCTEST.search(output)
        ran = UNITTEST.findall(output)
        if doctest:
            good, bad = int(doctest[2]), int(doctest[3])
        elif ran:
            bad = sum(int(number or 0) for found in UNITTEST_BAD.findall(output) for number in found)
            good = sum(map(int, ran)) - bad - sum(map(int, UNITTEST_SKIPPED.findall(output)))
        else:
            good, bad = (1, 0) if ok else (0, 1)
        if not ok and bad == 0:
            bad = 1  # it crashed, or ran out of time
        passed += good
        failed += bad
        if not ok:
            notes.append(f"FAILED: {name}")
        for reason in dict.fromkeys(LEFT_OUT.findall(output)):
            skipped += 1
            notes.append(f"skipped: {name}: {reason}")
    print(passed, failed, skipped)
    print("\n".join(notes))


main(sys.argv[1])
