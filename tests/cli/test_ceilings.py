"""A ceiling holds for the whole process, by the operating system's own account, and changes no bit of what comes out.

    /usr/bin/python3 -B tests/cli/test_ceilings.py build/native/linnet

tools/measure_ceilings.py does the same at the true size. Standard library only.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

LINNET = ""

CONTEXT = 1024
TOKENS = ",".join(str(number * 37 % 2000) for number in range(160))


def run(*arguments):
    """Exit code, standard output, standard error, peak resident bytes."""
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen([LINNET, *map(str, arguments)], stdout=subprocess.PIPE, stderr=err)
        out = process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return process.returncode, out.decode(), err.read().decode(), usage.ru_maxrss * 1024


class Ceilings(unittest.TestCase):
    def good(self, *arguments):
        code, out, err, peak = run(*arguments)
        self.assertEqual(code, 0, err)
        return out, peak

    def test_ceilings(self):
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "small.linnet")
            self.good("synth", "small", model, "--group", 64)
            common = [model, "--context", CONTEXT]
            code, _, sentence, _ = run("plan", *common, "--memory", "1kB", "--no-measure")
            self.assertEqual(code, 4)
            smallest = int(re.search(r"would do is (\d+) bytes", sentence).group(1))
            whole = json.loads(self.good("plan", *common, "--json", "--no-measure")[0])["total_bytes"]
            program = json.loads(self.good("plan", *common, "--memory", smallest, "--json", "--no-measure")[0])["program_bytes"]
            self.assertLess(smallest - program, whole / 3)
            whole += program
            # Where a process begins, the system counts for it what its parent had: Python is larger than the smallest ceiling.
            parent = self.good("--version")[1]
            hashes = set()
            streamed = []
            for share in range(6):
                ceiling = smallest + (whole - smallest) * share // 5
                memory = ["--memory", ceiling, "--scratch-folder", folder]
                with self.subTest(ceiling=ceiling):
                    plan = json.loads(self.good("plan", *common, *memory, "--json", "--no-measure")[0])
                    self.assertLessEqual(plan["total_bytes"] + program, ceiling)
                    self.assertEqual(plan["total_bytes"], sum(plan["bytes"].values()))
                    streamed.append(plan["streamed_bytes_per_pass"])
                    direct = ["on", "off"][share % 2]
                    out, peak = self.good("logits", *common, *memory, "--tokens", TOKENS, "--hash", "--direct", direct)
                    hashes.add(out.strip())
                    self.assertLessEqual(peak, max(ceiling, parent + 500_000))
            self.assertEqual(len(hashes), 1)
            # Less memory, more to stream (rounded otherwise with pages of another size); with all of it nothing.
            for less, more in zip(streamed[1:], streamed):
                self.assertLessEqual(less, more * 1.001)
            self.assertGreater(streamed[0], 0)
            self.assertEqual(streamed[-1], 0)
            # Nothing is left behind.
            self.assertEqual(os.listdir(folder), ["small.linnet"])


if __name__ == "__main__":
    LINNET = sys.argv.pop(1)
    unittest.main()
