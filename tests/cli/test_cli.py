#!/usr/bin/python3
"""Tests of the linnet command as a person or a program meets it. Standard library only.

    test_cli.py LINNET [unittest arguments]

Models are random ones of the shape "tiny", made by the command itself.
"""
import ctypes
import hashlib
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import xml.etree.ElementTree

LINNET = os.path.abspath(sys.argv[1])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = float(os.environ.get("LINNET_TEST_PATIENCE", "1"))  # under sanitizers everything takes longer
HEADER_BYTES = 512
EOS_COUNT_AT = 112 + 84  # ModelConfig::eos_count in the header, core/model/format.h
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "80"}
ENVIRONMENT.pop("LINNET_KERNELS", None)


def run(*arguments, text=None, **options):
    """Exit code, stdout and stderr, as bytes. A signal or a run without end is a failure of the test."""
    environment = {**ENVIRONMENT, **options.pop("environment", {})}
    done = subprocess.run([LINNET, *map(str, arguments)], input=text if text is not None else b"", capture_output=True,
                          timeout=120 * SLOW, env=environment, check=False, **options)
    assert done.returncode >= 0, f"{arguments}: signal {-done.returncode}\n{done.stderr.decode(errors='replace')}"
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr.decode(errors="replace")
    return done.returncode, done.stdout, done.stderr


def crc32c(these):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in these:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def sign(data):
    """Makes the checksum of a changed header right again."""
    struct.pack_into("<I", data, HEADER_BYTES - 4, crc32c(data[:HEADER_BYTES - 4]))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="linnet-cli-")
        cls.model = os.path.join(cls.folder, "tiny.linnet")
        code, _, error = run("synth", "tiny", cls.model, "--seed", 1)
        assert code == 0, error

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def good(self, *arguments, **options):
        code, out, error = run(*arguments, **options)
        self.assertEqual(code, 0, error.decode(errors="replace"))
        return out

    def refused(self, code, *arguments, **options):
        """Ends with this code and one sentence; gives the sentence."""
        got, _, error = run(*arguments, **options)
        sentence = error.decode()
        self.assertEqual(got, code, sentence)
        self.assertRegex(sentence, r"\Alinnet: [^\n]{10,}\n\Z", arguments)
        return sentence

    def json(self, *arguments, **options):
        return json.loads(self.good(*arguments, "--json", **options))


class Usage(Case):
    COMMANDS = ["chat", "run", "convert", "inspect", "plan", "tokenize", "detokenize", "logits", "synth", "bench", "update"]

    def test_help(self):
        whole = self.good("--help").decode()
        self.assertEqual(self.good().decode(), whole)
        for command in self.COMMANDS:
            self.assertIn(command, whole)
            text = self.good(command, "--help").decode()
            self.assertIn("Example", text)
            self.assertIn("linnet " + command, text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 128, line)
        self.assertRegex(self.good("--version").decode(), r"\Alinnet \d+\.\d+\.\d+\n\Z")

    def test_wrong_usage(self):
        model = self.model
        for arguments in [
            ("sing",),
            ("run", model),
            ("run", model, "--prompt", "x", "--bogus"),
            ("run", model, "--prompt", "x", "extra"),
            ("run", model, "--prompt", "x", "-n", "0"),
            ("run", model, "--prompt", "x", "-n", "-3"),
            ("run", model, "--prompt", "x", "-n", "many"),
            ("run", model, "--prompt", "x", "--temperature", "hot"),
            ("run", model, "--prompt", "x", "--temperature", "nan"),
            ("run", model, "--prompt", "x", "--temperature", "11"),
            ("run", model, "--prompt", "x", "--top-p", "0"),
            ("run", model, "--prompt", "x", "--stop", ""),
            ("run", model, "--prompt", "x", "--stop", "y" * 200),
            ("run", model, "--prompt", "x", "--system", "without chat"),
            ("run", model, "--prompt", "x", "--seed", "-1"),
            ("run", model, "--prompt", "x", "--threads", "0"),
            ("run", model, "--prompt", "x", "--kv", "int3"),
            ("run", model, "--prompt", "x", "--kv", "q8"),
            ("run", model, "--prompt", "x", "--kernels", "warp"),
            ("run", model, "--prompt", "x", "--context", "99999999"),
            ("plan", model, "--context", "2000000"),
            ("plan", model, "--batch", "513"),
            ("plan", model, "--direct", "sometimes"),
            ("logits", model, "--tokens", "1,2"),
            ("logits", model, "--tokens", "1,2", "--hash", "--kv", "int3"),
            ("logits", model, "--tokens", "1,,2", "--hash"),
            ("logits", model, "--tokens", "1,x", "--hash"),
            ("logits", model, "--tokens", "", "--hash"),
            ("logits", model, "--tokens", "-1", "--hash"),
            ("logits", model, "--tokens", "99999999", "--hash"),
            ("logits", model, "--tokens", "99999999999999", "--hash"),
            ("synth", "no-such-shape", self.path("out.linnet")),
            ("synth", "tiny", self.path("out.linnet"), "--group", "33"),
            ("convert", model, model),
            ("convert", model, self.path("out.linnet"), "--weights", "int3"),
            ("convert", model, self.path("out.linnet"), "--group", "48"),
            ("bench", model, "--prompt", "0", "--decode", "0"),
            ("bench", model, "--repeat", "0"),
            ("bench", model, "--prompt", "x"),
            ("bench", model, "--prompt", "16,,32"),
            ("bench", model, "--prompt", "16,-1"),
            ("bench", model, "--prompt", ""),
            ("bench", model, "--decode", "many"),
            ("detokenize", model, "one"),
        ]:
            with self.subTest(arguments=arguments):
                self.refused(2, *arguments)
        self.assertFalse(os.path.exists(self.path("out.linnet")))

    def test_sizes(self):
        for text in ["", "GB", "2XB", "-1GB", "1e9", "0", "0x10", "1.5.2MB", "nan", "inf", "99999999TB", "2 GB x"]:
            with self.subTest(size=text):
                self.assertIn("is not a size", self.refused(2, "plan", self.model, "--memory", text))
        for text, bytes_ in [("1.5GiB", 1610612736), ("2GB", 2000000000), ("500 MB", 500000000), ("900kB", None),
                             ("1g", 1000000000), ("123456789", 123456789), ("64mib", 67108864)]:
            with self.subTest(size=text):
                if bytes_ is None:
                    run("plan", self.model, "--memory", text, "--no-measure")
                else:
                    self.assertEqual(self.json("plan", self.model, "--memory", text, "--no-measure")["ceiling_bytes"], bytes_)

    def test_bad_input(self):
        for command in [("inspect",), ("plan",), ("run",), ("chat",), ("tokenize",), ("detokenize",), ("logits",), ("bench",)]:
            more = {"run": ["--prompt", "x"], "logits": ["--tokens", "1", "--hash"], "detokenize": ["1"]}.get(command[0], [])
            for file in [self.path("nothing-here"), "/dev/null", self.path("empty")]:
                open(self.path("empty"), "w").close()
                with self.subTest(command=command, file=file):
                    self.refused(3, *command, file, *more)
        self.refused(3, "inspect", self.folder)
        self.refused(3, "convert", self.path("nothing-here"), self.path("out.linnet"))
        self.refused(3, "convert", self.model, self.path("no-folder/out.linnet"))
        self.refused(3, "convert", self.folder, self.path("out.linnet"))
        self.refused(3, "synth", "tiny", self.folder)
        self.assertFalse(os.path.exists(self.path("out.linnet")))

    def test_names_cannot_steer_the_terminal(self):
        sentence = self.refused(3, "inspect", self.path("\x1b[2Jgone"))
        self.assertNotIn("\x1b", sentence)


class Models(Case):
    def test_synth_is_the_same_everywhere(self):
        again = self.path("again.linnet")
        report = self.json("synth", "tiny", again, "--seed", 1, "--threads", 1)
        with open(self.model, "rb") as one, open(again, "rb") as other:
            self.assertEqual(one.read(), other.read())
        self.assertEqual(report["file_bytes"], os.path.getsize(again))
        self.good("synth", "tiny", again, "--seed", 2)
        with open(self.model, "rb") as one, open(again, "rb") as other:
            self.assertNotEqual(one.read(), other.read())
        self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name], [])

    def test_inspect(self):
        text = self.good("inspect", self.model, "--tensors").decode()
        for word in ["architecture", "parameters", "checksums", "qkv", "int4 group 32", "layer 0"]:
            self.assertIn(word, text)
        report = self.json("inspect", self.model, "--tensors")
        self.assertTrue(report["verified"])
        self.assertEqual(report["damaged_chunks"], [])
        self.assertEqual(report["file_bytes"], os.path.getsize(self.model))
        self.assertEqual(sum(tensor["bytes"] for tensor in report["tensors"]),
                         sum(kind["bytes"] for kind in report["kinds"].values()))
        self.assertEqual(len(report["tensors"]) - report["config"]["layers"] * 6, 2 + (not report["config"]["tied_embeddings"]))

    def test_plan(self):
        report = self.json("plan", self.model, "--context", 64, "--no-measure")
        self.assertEqual(sum(report["bytes"].values()), report["total_bytes"])
        self.assertEqual(report["context"], 64)
        self.assertIn(f"{report['total_bytes']:,}", self.good("plan", self.model, "--context", 64, "--no-measure").decode())
        self.assertLess(report["bytes"]["kv_cache"],
                        self.json("plan", self.model, "--context", 128, "--no-measure")["bytes"]["kv_cache"])
        self.assertNotIn("rates", report)
        self.assertEqual(report, self.json("plan", self.model, "--context", 64, "--no-measure"))
        measured = self.json("plan", self.model, "--context", 64)
        for rate in ["read_bytes_per_second", "compute_bytes_per_second"]:
            self.assertGreater(measured["rates"][rate], 1e6)
        self.assertGreater(measured["predicted_seconds_per_token_at_start"], 0)
        self.assertGreaterEqual(measured["predicted_seconds_per_token"], measured["predicted_seconds_per_token_at_start"])
        text = self.good("plan", self.model, "--context", 64).decode()
        self.assertRegex(text, r"predicted .*tok/s")
        for direct in ["on", "off"]:
            self.assertEqual(self.json("plan", self.model, "--no-measure", "--direct", direct)["page_bytes"], 0)
        sentence = self.refused(4, "plan", self.model, "--context", 64, "--memory", "20kB")
        smallest = int(re.search(r"would do is (\d+) bytes", sentence).group(1))
        fits = self.json("plan", self.model, "--context", 64, "--memory", smallest, "--no-measure")
        self.assertLessEqual(fits["total_bytes"], smallest)
        self.refused(4, "plan", self.model, "--context", 64, "--memory", smallest - 1)
        self.refused(4, "logits", self.model, "--tokens", "1", "--hash", "--context", 64, "--memory", smallest - 1)

    def test_logits(self):
        out = self.path("logits.f32")
        tokens = [1, 5, 9, 2, 30, 7, 7, 11, 3]
        listed = ",".join(map(str, tokens))
        code = self.good("logits", self.model, "--tokens", listed, "--out", out, "--hash").decode().strip()
        with open(out, "rb") as file:
            data = file.read()
        self.assertEqual(hashlib.sha256(data).hexdigest(), code)
        report = self.json("logits", self.model, "--tokens", listed)
        self.assertEqual((report["rows"], report["bytes"], report["sha256"]), (len(tokens), len(data), code))
        columns = report["columns"]
        self.good("logits", self.model, "--tokens", listed, "--out", out, "--last")
        with open(out, "rb") as file:
            self.assertEqual(file.read(), data[-4 * columns:])
        ids = self.path("ids")
        with open(ids, "w") as file:
            file.write("\n".join(map(str, tokens)))
        self.assertEqual(self.good("logits", self.model, "--tokens", "@" + ids, "--hash").decode().strip(), code)
        # The tokens before one decide its row, those after do not.
        self.good("logits", self.model, "--tokens", "1,5,9", "--out", out)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), data[:12 * columns])
        values = struct.unpack(f"<{columns}f", data[:4 * columns])
        self.assertGreater(max(values), min(values))
        self.refused(4, "logits", self.model, "--tokens", listed, "--hash", "--context", 4)
        self.refused(3, "logits", self.model, "--tokens", listed, "--out", "/dev/full")

    def test_the_same_bits(self):
        """Kernels, threads, batches and ceilings leave the logits as they are."""
        generator = random.Random(3)
        columns = self.json("inspect", self.model)["config"]["vocabulary"]
        tokens = ",".join(str(generator.randrange(columns)) for _ in range(70))
        for kv in ["int8", "f16", "f32"]:
            reference = self.good("logits", self.model, "--tokens", tokens, "--hash", "--kv", kv, "--kernels", "scalar",
                                  "--threads", 1, "--batch", 1)
            tried = 0
            for kernels in ["scalar", "avx2", "avx512"]:
                code, out, _ = run("logits", self.model, "--tokens", "1", "--hash", "--kernels", kernels)
                if code == 2:
                    continue
                for threads, batch in [(1, 64), (2, 1), (3, 3), (4, 64)]:
                    got = self.good("logits", self.model, "--tokens", tokens, "--hash", "--kv", kv, "--kernels", kernels,
                                    "--threads", threads, "--batch", batch)
                    self.assertEqual(got, reference, (kernels, threads, batch, kv))
                    tried += 1
                report = self.json("logits", self.model, "--tokens", "1", environment={"LINNET_KERNELS": kernels})
                self.assertEqual(report["kernels"], kernels)
            self.assertGreaterEqual(tried, 4)
        self.refused(2, "logits", self.model, "--tokens", "1", "--hash", environment={"LINNET_KERNELS": "warp"})

    def test_bench(self):
        picture = self.path("speed.svg")
        report = self.json("bench", self.model, "--prompt", "0,16,40", "--decode", 8, "--repeat", 2, "--threads", 2, "--svg", picture)
        # The names are the list in tools/bench/README.md, those of rows under their own heading.
        with open(os.path.join(ROOT, "tools", "bench", "README.md"), encoding="utf-8") as readme:
            of_report, of_rows = readme.read().split("A row of `prefill` or `decode`:")

        def names(text):
            lines = [line for line in text.splitlines() if line.startswith("| `")]
            return {name for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])}

        self.assertEqual(set(report), names(of_report.split("## The names in the JSON")[1]))
        for row in report["prefill"] + report["decode"]:
            self.assertEqual(set(row), names(of_rows))
            self.assertEqual((len(row["rounds"]), len(row["dot_ceilings"])), (2, 2))
            self.assertGreater(row["least"], 0)
            self.assertTrue(row["least"] <= row["tokens_per_second"] <= row["most"])
            bounds = {name: row[key + "_bound_tokens_per_second"]
                      for name, key in [("memory", "memory"), ("dots", "dot"), ("storage", "storage")]}
            self.assertEqual(bounds[row["bound"]], min(bound for bound in bounds.values() if bound > 0))
            self.assertAlmostEqual(row["share_of_bound"], row["tokens_per_second"] / bounds[row["bound"]])
        for row in report["decode"]:
            self.assertEqual(len(row["read_ceilings"]), 2)
            bound = statistics.median(row["read_ceilings"]) / row["bytes_per_token"]
            self.assertAlmostEqual(row["memory_bound_tokens_per_second"] / bound, 1)
        reads = [rate for row in report["decode"] for rate in row["read_ceilings"]]
        self.assertAlmostEqual(report["read_ceiling_bytes_per_second"] / statistics.median(reads), 1)
        self.assertAlmostEqual(report["read_ceiling_most_bytes_per_second"] / max(reads), 1)
        self.assertEqual(report["read_ceiling_of"], "weights")
        self.assertGreaterEqual(report["read_ceiling_bytes"], report["weight_bytes_per_token"])
        self.assertEqual([row["tokens"] for row in report["prefill"]], [16, 40])
        self.assertEqual([(row["after"], row["tokens"]) for row in report["decode"]], [(0, 8), (16, 8), (40, 8)])
        # Each further token before it is read as well.
        self.assertLess(report["decode"][0]["bytes_per_token"], report["decode"][2]["bytes_per_token"])
        self.assertEqual(report["prefill_tokens_per_second"], report["prefill"][-1]["tokens_per_second"])
        self.assertEqual(report["decode_tokens_per_second"], report["decode"][-1]["tokens_per_second"])
        for ceiling in ["read_ceiling_bytes_per_second", "dot_ceiling_macs_per_second", "dot_ceiling_one_token_macs_per_second"]:
            self.assertGreater(report[ceiling], 1e7, ceiling)
        self.assertEqual((report["threads"], report["rounds"], report["machine"]["place"]), (2, 2, "native"))
        self.assertGreater(report["load"]["cached_first_token_seconds"], report["load_seconds"])
        self.assertEqual(report["load"]["file_bytes"], os.path.getsize(self.model))
        svg = xml.etree.ElementTree.parse(picture).getroot()
        drawn = " ".join(svg.itertext())
        self.assertEqual(len(svg.findall(".//{*}rect[@class='bar']")), 5)
        for length in ["16", "40"]:
            self.assertIn(length, drawn.split())
        self.assertIn("prefill of 40 tokens", drawn)
        self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name], [])

    def test_bench_under_a_ceiling(self):
        few = ["--prompt", 4, "--decode", 4, "--repeat", 1, "--no-cold"]
        whole = self.json("bench", self.model, *few)
        # The command itself counts 8 MB of a ceiling as its own.
        memory = whole["arena_bytes"] - whole["weight_bytes_per_token"] // 4 + 8_000_000
        report = self.json("bench", self.model, *few, "--memory", memory)
        self.assertGreater(report["streamed_bytes_per_token"], 0)
        # Weights that stream are in no place that could be read in their stead.
        self.assertEqual(report["read_ceiling_of"], "buffer")
        self.assertGreater(report["read_ceiling_bytes_per_second"], 1e7)

    def test_bench_for_people(self):
        few = ["--prompt", 4, "--decode", 4, "--repeat", 1]
        text = self.good("bench", self.model, *few).decode()
        for line in ["read ceiling", "dot ceiling", "first token", "prefill", "decode after"]:
            self.assertIn(line, text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertNotIn("cold", self.good("bench", self.model, *few, "--no-cold").decode())
        # A name is not markup.
        strange = self.path("a<b>&\"c\" \x01.linnet")
        shutil.copy(self.model, strange)
        picture = self.path("strange.svg")
        self.good("bench", strange, *few, "--svg", picture)
        self.assertIn('a<b>&"c"', xml.etree.ElementTree.parse(picture).getroot().find("{*}title").text)

    def test_bench_refuses(self):
        self.assertIn("context", self.refused(4, "bench", self.model, "--prompt", 999999))
        self.assertIn("context", self.refused(4, "bench", self.model, "--prompt", 8, "--decode", 8, "--context", 15))
        self.refused(3, "bench", self.model, "--prompt", 4, "--svg", self.path("no-folder/speed.svg"))
        self.refused(3, "bench", self.model, "--prompt", 4, "--svg", self.folder)
        self.refused(2, "bench", self.model, "--prompt", 4, "--svg", self.model)

    def test_output_to_nobody(self):
        """A reader that has gone away ends the program quietly; a full disk under stdout is an error."""
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run([LINNET, "inspect", self.model], stdout=writing, stderr=subprocess.PIPE, env=ENVIRONMENT,
                              check=False)
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (141, b""))
        with open("/dev/full", "wb") as full:
            done = subprocess.run([LINNET, "inspect", self.model], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT,
                                  check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"Writing the output failed", done.stderr)


class Damage(Case):
    def check(self, data, what):
        damaged = self.path("damaged.linnet")
        with open(damaged, "wb") as file:
            file.write(data)
        for arguments in [("inspect", damaged), ("logits", damaged, "--tokens", "1,2", "--hash", "--context", 8),
                          ("tokenize", damaged)]:
            code, out, error = run(*arguments, text=b"hello")
            self.assertIn(code, (0, 3), (what, arguments, error))
            if code == 3:
                self.assertRegex(error.decode(), r"\Alinnet: [^\n]+\n\Z", what)
        return code

    def test_truncated(self):
        with open(self.model, "rb") as file:
            data = file.read()
        for length in [0, 1, 7, 8, 100, 511, 512, 513, 600, 4096, len(data) // 2, len(data) - 5, len(data) - 1]:
            damaged = self.path("short.linnet")
            with open(damaged, "wb") as file:
                file.write(data[:length])
            with self.subTest(length=length):
                self.refused(3, "inspect", damaged)
                self.refused(3, "run", damaged, "--prompt", "x")
        with open(damaged, "wb") as file:
            file.write(data + b"\0")
        self.refused(3, "inspect", damaged)

    def test_every_word_of_the_header(self):
        """With the checksum made right again, so that the fields themselves are looked at."""
        with open(self.model, "rb") as file:
            data = file.read()
        generator = random.Random(1)
        words = [at for at in range(0, HEADER_BYTES - 4, 4) if at < 240 or generator.random() < 0.1]
        for at in words:
            was = struct.unpack_from("<I", data, at)[0]
            for value in {0, 1, 0xFFFFFFFF, 0x7FFFFFFF, was + 1 & 0xFFFFFFFF, was ^ 1 << generator.randrange(32)} - {was}:
                changed = bytearray(data)
                struct.pack_into("<I", changed, at, value)
                sign(changed)
                damaged = self.path("header.linnet")
                with open(damaged, "wb") as file:
                    file.write(changed)
                code, _, error = run("logits", damaged, "--tokens", "1,2", "--hash", "--context", "8")
                self.assertIn(code, (0, 2, 3, 4), (at, value))
                if code != 0:
                    self.assertRegex(error.decode(), r"\Alinnet: [^\n]+\n\Z", (at, value))

    def test_flipped_bits(self):
        with open(self.model, "rb") as file:
            data = file.read()
        generator = random.Random(2)
        weights = self.json("inspect", self.model)["weights_offset"]
        places = [generator.randrange(len(data)) for _ in range(60)] + [generator.randrange(weights) for _ in range(60)]
        for place in places:
            changed = bytearray(data)
            changed[place] ^= 1 << generator.randrange(8)
            self.check(changed, place)

    def test_damaged_weights_are_found(self):
        report = self.json("inspect", self.model)
        with open(self.model, "rb") as file:
            changed = bytearray(file.read())
        changed[report["weights_offset"] + report["weights_bytes"] - 1] ^= 1
        damaged = self.path("weights.linnet")
        with open(damaged, "wb") as file:
            file.write(changed)
        code, out, error = run("inspect", damaged, "--json")
        self.assertEqual(code, 3, error)
        self.assertFalse(json.loads(out)["verified"])
        self.assertEqual(json.loads(out)["damaged_chunks"], [report["chunks"] - 1])
        self.assertIn("checksum", self.refused(3, "logits", damaged, "--tokens", "1", "--hash"))
        self.good("logits", damaged, "--tokens", "1", "--hash", "--no-verify")


class Files(Case):
    def test_nothing_is_left_by_an_interrupt(self):
        """The shape is large enough to be still at it when the signal comes."""
        for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]:
            out = self.path("interrupted.linnet")
            process = subprocess.Popen([LINNET, "synth", "phi-3-mini", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=ENVIRONMENT, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
            deadline = time.monotonic() + 30 * SLOW
            while not any("partial" in name for name in os.listdir(self.folder)):
                self.assertLess(time.monotonic(), deadline, "no partial file appeared")
                time.sleep(0.01)
            time.sleep(0.2)
            self.assertIsNone(process.poll())
            process.send_signal(number)
            process.communicate(timeout=30 * SLOW)
            self.assertEqual(process.returncode, code)
            self.assertEqual([name for name in os.listdir(self.folder) if "interrupted" in name], [])

    def test_a_limit_on_file_size(self):
        """What a full disk does: the write fails in the middle."""
        out = self.path("limited.linnet")
        limit = os.path.getsize(self.model) // 2
        sentence = self.refused(3, "synth", "tiny", out,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertIn("is full or has a limit", sentence)
        self.assertEqual([name for name in os.listdir(self.folder) if "limited" in name], [])

    def test_a_full_disk(self):
        libc = ctypes.CDLL(None, use_errno=True)
        place = self.path("small")
        os.makedirs(place, exist_ok=True)
        if libc.mount(b"linnet", place.encode(), b"tmpfs", 0, b"size=64k") != 0:
            self.skipTest("mounting a small tmpfs is not allowed here; the limit on file size tests the same path")
        try:
            sentence = self.refused(3, "synth", "tiny", os.path.join(place, "out.linnet"))
            self.assertIn("too little room", sentence)
            self.assertIn(place, sentence)
            self.assertEqual(os.listdir(place), [])
        finally:
            libc.umount(place.encode())

    def test_an_old_file_stays_until_the_new_one_is_whole(self):
        out = self.path("old.linnet")
        with open(out, "w") as file:
            file.write("precious")
        limit = os.path.getsize(self.model) // 2
        self.refused(3, "synth", "tiny", out, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        with open(out) as file:
            self.assertEqual(file.read(), "precious")
        link = self.path("link.linnet")
        os.symlink(out, link)
        self.good("synth", "tiny", link, "--seed", 1)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(os.path.getsize(out), os.path.getsize(self.model))

    def test_progress(self):
        code, _, error = run("synth", "tiny", self.path("p.linnet"), "--progress")
        self.assertEqual(code, 0)
        self.assertIn(b"%", error)
        code, _, error = run("synth", "tiny", self.path("p.linnet"))
        self.assertEqual((code, error), (0, b""))


class Text(Case):
    def test_tokenize(self):
        for text in ["", "Once upon a time", "  two  spaces\n\tand a tab\n", "日本語 🙂 é", "</s><s>", "a" * 50000,
                     "<|user|> hi"]:
            ids = self.good("tokenize", self.model, text=text.encode()).decode()
            self.assertRegex(ids, r"\A(\d+( \d+)*)?\n\Z")
            self.assertEqual(self.json("tokenize", self.model, text=text.encode())["tokens"], [int(i) for i in ids.split()])
            self.assertEqual(self.good("detokenize", self.model, text=ids.encode()).decode(), text)
            if 0 < len(text) < 1000:
                self.assertEqual(self.good("detokenize", self.model, *ids.split()).decode(), text)
                self.assertEqual(self.json("detokenize", self.model, *ids.split())["text"], text)
        self.good("tokenize", self.model, text=bytes(range(256)) * 4)
        plain = self.good("tokenize", self.model, text=b"hello").decode()
        self.assertEqual(self.good("tokenize", self.model, "--bos", text=b"hello").decode(), "1 " + plain)
        special = self.good("tokenize", self.model, "--special", text=b"<|user|>").decode().split()
        self.assertLess(len(special), 3)
        self.assertIn("<|user|>", self.good("detokenize", self.model, "--special", *special).decode())
        self.assertNotIn("<|user|>", self.good("detokenize", self.model, *special).decode())
        self.refused(2, "detokenize", self.model, "1,x")

    def test_run(self):
        arguments = ["run", self.model, "--prompt", "Once upon a time", "-n", 20, "--temperature", 0]
        text = self.good(*arguments).decode()
        self.assertTrue(text.endswith("\n"))
        report = self.json(*arguments)
        self.assertEqual(report["text"] + "\n", text)
        self.assertEqual("".join(token["text"] for token in report["tokens"]), report["text"])
        self.assertEqual((report["finish"], report["answer_tokens"], len(report["tokens"])), ("length", 20, 20))
        self.assertEqual(self.good("run", self.model, "--prompt", "-", *arguments[4:], text=b"Once upon a time").decode(), text)
        self.assertEqual(self.good("run", self.model, "--prompt=Once upon a time", *arguments[4:]).decode(), text)
        lines = self.good(*arguments, "--logits").decode().splitlines()
        self.assertEqual([int(line.split("\t")[0]) for line in lines], [token["id"] for token in report["tokens"]])
        for line, token in zip(lines, report["tokens"]):
            self.assertAlmostEqual(float(line.split("\t")[1]), token["logit"], places=4)
        stop = report["text"][8:12]
        stopped = self.json(*arguments, "--stop", "no such text", "--stop", stop)
        self.assertEqual(stopped["finish"], "stop")
        self.assertEqual(stopped["text"], report["text"][:report["text"].index(stop)])
        warm = ["run", self.model, "--prompt", "Once", "-n", 20, "--temperature", 1]
        self.assertEqual(self.good(*warm, "--seed", 5), self.good(*warm, "--seed", 5, "--threads", 1, "--kernels", "scalar"))
        self.assertNotEqual(self.good(*warm, "--seed", 5), self.good(*warm, "--seed", 6))
        full = self.json("run", self.model, "--prompt", "Once", "--context", 16, "--temperature", 0)
        self.assertIn(full["finish"], ("context", "end"))
        self.refused(4, "run", self.model, "--prompt", "Once upon a time " * 20, "--context", 16)
        self.assertIn(b"tok/s", run(*arguments, "--stats")[2])
        self.assertNotEqual(self.good(*arguments, "--chat"), self.good(*arguments, "--chat", "--system", "Be brief."))
        self.good("run", self.model, "--prompt", "--- a dash ---", "-n", 3)

    def test_convert(self):
        """What other programs have made: the files that LINNET_MODELS holds."""
        source = os.path.join(os.environ.get("LINNET_MODELS", ""), "stories260K", "stories260K-f32.gguf")
        if not os.path.isfile(source):
            self.skipTest("LINNET_MODELS names no folder with stories260K")
        out = self.path("stories.linnet")
        self.assertIn("relative error", self.good("convert", source, out).decode())
        plain = self.json("convert", source, out, "--rounding")
        searched = self.json("convert", source, out)
        for one, other in zip(plain["errors"], searched["errors"]):
            self.assertLessEqual(other["error"], one["error"] * 1.0001)
        exact = self.json("convert", source, out, "--weights", "f32")
        self.assertTrue(all(role["error"] == 0 for role in exact["errors"]))
        for text in [b"Once upon a time", "日本語 🙂".encode()]:
            self.assertEqual(self.good("tokenize", source, text=text), self.good("tokenize", out, text=text))
        text = self.good("run", out, "--prompt", "Once upon a time", "-n", 30, "--temperature", 0).decode()
        self.assertRegex(text, r"\A, there was a ")
        with open(source, "rb") as file:
            data = file.read()
        short = self.path("short.gguf")
        for length in [0, 3, 4, 20, 1000, len(data) // 2, len(data) - 1]:
            with open(short, "wb") as file:
                file.write(data[:length])
            self.refused(3, "convert", short, self.path("none.linnet"))
        self.assertFalse(os.path.exists(self.path("none.linnet")))


class Calibration(Case):
    """convert --calibrate; what it gathers and gains is tests/oracle/test_calibration.py's."""

    def setUp(self):
        models = os.environ.get("LINNET_MODELS", "")
        self.source = os.path.join(models, "stories260K", "stories260K-f32.gguf")
        self.text = os.path.join(models, "corpora", "tinyshakespeare.txt")
        if not os.path.isfile(self.source) or not os.path.isfile(self.text):
            self.skipTest("LINNET_MODELS names no folder with stories260K and corpora")

    def file(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def left(self):
        return [name for name in os.listdir(self.folder) if "out" in name]

    def test_the_same_bytes(self):
        with open(self.text, "rb") as file:
            text = self.file("text.txt", file.read(12000))
        files = []
        for more, environment in [((), {}), (("--threads", 1), {}), (("--memory", "14MB"), {}), ((), {"LINNET_KERNELS": "scalar"})]:
            out = self.path(f"out{len(files)}.linnet")
            report = self.json("convert", self.source, out, "--calibrate", text, *more, environment=environment)
            self.assertGreater(report["calibration"]["tokens"], 3000)
            self.assertGreaterEqual(report["calibration"]["text_tokens"], report["calibration"]["tokens"])
            with open(out, "rb") as file:
                files.append(file.read())
        self.assertTrue(all(file == files[0] for file in files))
        plain = self.path("out.plain")
        self.assertNotIn("calibration", self.json("convert", self.source, plain))
        with open(plain, "rb") as file:
            other = file.read()
        self.assertEqual(len(other), len(files[0]))
        self.assertNotEqual(other, files[0])
        # A long text is read in part, spread over all of it.
        report = self.json("convert", self.source, plain, "--calibrate", self.text)
        self.assertEqual(report["calibration"]["tokens"], 16384)
        self.assertIn("Calibrated on ", self.good("convert", self.source, plain, "--calibrate", text).decode())
        for name in self.left():
            os.remove(self.path(name))

    def test_refused(self):
        out = self.path("out.linnet")
        for code, text, more in [
            (2, self.text, ["--rounding"]),
            (2, self.text, ["--weights", "int8"]),
            (2, self.text, ["--weights", "f32"]),
            (2, self.text, ["--memory", "much"]),
            (3, self.path("nothing-here"), []),
            (3, self.folder, []),
            (3, self.file("nothing.txt", b""), []),
            (3, self.file("short.txt", b"Once upon a time. " * 5), []),
            (3, self.file("latin.txt", b"Caf\xe9. " * 2000), []),
            (4, self.text, ["--memory", "8MB"]),
        ]:
            with self.subTest(text=text, more=more):
                self.refused(code, "convert", self.source, out, "--calibrate", text, *more)
                self.assertEqual(self.left(), [])
        self.assertIn("--calibrate", self.refused(2, "convert", self.source, out, "--memory", "1GB"))
        self.assertIn("regular file", self.refused(2, "convert", self.source, "/dev/null", "--calibrate", self.text))
        self.assertFalse(os.path.exists("/dev/null.int8"))
        self.assertIn("UTF-8", self.refused(3, "convert", self.source, out, "--calibrate", self.path("latin.txt")))
        # Of a size that nobody reads by accident.
        with open(self.path("large.txt"), "wb") as file:
            file.truncate(65 << 20)
        self.assertIn("Give a part", self.refused(3, "convert", self.source, out, "--calibrate", self.path("large.txt")))
        self.assertEqual(self.left(), [])

    def test_nothing_is_left_by_an_interrupt(self):
        process = subprocess.Popen([LINNET, "convert", self.source, self.path("out.linnet"), "--calibrate", self.text, "--progress"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**ENVIRONMENT, "LINNET_KERNELS": "scalar"})
        for line in process.stderr:
            if b"calibrating" in line:
                break
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30 * SLOW)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.left(), [])


class Terminal(Case):
    """A conversation through a pseudo-terminal, as a person has it. The model has random weights and no end token."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(cls.model, "rb") as file:
            data = bytearray(file.read())
        struct.pack_into("<I", data, EOS_COUNT_AT, 0)
        sign(data)
        with open(cls.model, "wb") as file:
            file.write(data)
        _, out, error = run("inspect", cls.model, "--json")
        assert json.loads(out)["config"]["eos_tokens"] == [], error

    def start(self, *arguments):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(LINNET, [LINNET, "chat", self.model, *arguments], ENVIRONMENT)
        self.pid, self.terminal, self.seen = pid, terminal, b""

    def read_until(self, pattern, seconds=60):
        """Reads until the pattern stands in what came since the last call; gives what came."""
        deadline = time.monotonic() + seconds * SLOW
        while not re.search(pattern, self.seen):
            left = deadline - time.monotonic()
            self.assertGreater(left, 0, f"{pattern!r} did not come in {self.seen!r}")
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    data = os.read(self.terminal, 4096)
                except OSError:
                    data = b""
                self.assertTrue(data or re.search(pattern, self.seen), f"the end came before {pattern!r}: {self.seen!r}")
                self.seen += data
        seen, self.seen = self.seen, b""
        # The prompt is there a moment before the terminal is the line editor's.
        while pattern.endswith(self.PROMPT) and termios.tcgetattr(self.terminal)[3] & termios.ISIG:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)
        return seen

    def send(self, text):
        os.write(self.terminal, text.encode())

    def leave(self):
        try:
            while os.read(self.terminal, 4096):
                pass
        except OSError:
            pass
        os.close(self.terminal)
        _, status = os.waitpid(self.pid, 0)
        self.assertTrue(os.WIFEXITED(status), status)
        return os.WEXITSTATUS(status)

    PROMPT = rb"> $"

    def test_a_conversation(self):
        # One thread of plain C++: slow enough to be stopped.
        self.start("-n", "1900", "--temperature", "1", "--kernels", "scalar", "--threads", "1", "--kv", "f32")
        self.read_until(self.PROMPT)
        self.send("Tell me a story.\r")
        self.read_until(rb"(?s)(story|then)[.?]\r\n.*\w")
        self.send("\x03")
        stopped = self.read_until(self.PROMPT)
        self.assertIn(b"Stopped", stopped)
        self.send("/stats\r")
        self.assertIn(b"1 turn,", self.read_until(rb"kernels[^>]*" + self.PROMPT))
        self.send("a line given up\x03")
        self.read_until(rb"\^C[^>]*" + self.PROMPT)
        self.send("And then?\r")
        self.read_until(rb"(?s)(story|then)[.?]\r\n.*\w")
        self.send("\x03")
        self.read_until(rb"Stopped[^>]*" + self.PROMPT)
        self.send("/stats\r")
        self.assertIn(b"2 turns,", self.read_until(rb"kernels[^>]*" + self.PROMPT))
        self.send("/nonsense\r")
        self.assertIn(b"There is no /nonsense", self.read_until(rb"lists[^>]*" + self.PROMPT))
        self.send("/clear\r")
        self.read_until(rb"forgotten[^>]*" + self.PROMPT)
        self.send("/stats\r")
        self.assertIn(b"0 turns,", self.read_until(rb"kernels[^>]*" + self.PROMPT))
        self.send("\x04")
        self.assertEqual(self.leave(), 0)

    def test_a_full_context(self):
        self.start("-n", "30", "--temperature", "0", "--context", "128")
        self.read_until(self.PROMPT)
        seen = b""
        for question in ["one", "two", "three", "four", "five", "six"]:
            self.send(f"Say {question}.\r")
            seen += self.read_until(rb"(?s)Say[^\n]*\n.*" + self.PROMPT)
            self.send("\r")
            self.read_until(self.PROMPT)
        self.assertIn(b"forgotten", seen)
        self.send("word " * 300 + "\r")
        self.assertIn(b"linnet: ", self.read_until(rb"linnet: [^>]*" + self.PROMPT))
        self.send("Say seven.\r")
        self.read_until(rb"(?s)Say[^\n]*\n.*" + self.PROMPT)
        self.send("/exit\r")
        self.assertEqual(self.leave(), 0)

    def test_lines_from_a_pipe(self):
        code, out, error = run("chat", self.model, "-n", 5, "--temperature", 0, text=b"Hello\n\n/clear\nHello\n")
        self.assertEqual(code, 0, error)
        self.assertNotIn(b"\x1b", out)
        one = self.good("chat", self.model, "-n", 5, "--temperature", 0, "--prompt", "Hello")
        self.assertEqual(out, one + one)
        self.refused(2, "chat", self.model, "--prompt", " ")


class Sessions(Case):
    """--session: a text and a conversation go on where they were, and no file is lost."""

    GREEDY = ["--temperature", 0]

    def setUp(self):
        self.file = self.path("kept.session")
        if os.path.exists(self.file):
            os.remove(self.file)

    def contents(self):
        with open(self.file, "rb") as file:
            return file.read()

    def tokens(self, *arguments):
        return [token["id"] for token in self.json("run", self.model, *self.GREEDY, *arguments)["tokens"]]

    def ask(self, *questions, options=(), kept=True):
        session = ["--session", self.file] if kept else []
        text = "".join(question + "\n" for question in questions).encode()
        return self.good("chat", self.model, "-n", 9, *self.GREEDY, *session, *options, text=text)

    def test_a_text_goes_on(self):
        whole = self.tokens("--prompt", "Once upon a time", "-n", 30)
        begun = self.tokens("--prompt", "Once upon a time", "-n", 11, "--session", self.file)
        self.assertEqual(begun + self.tokens("-n", 19, "--session", self.file), whole)
        # What is added to it is read after it.
        before = self.contents()
        self.assertNotEqual(self.tokens("--prompt", "And then", "-n", 5, "--session", self.file), [])
        self.assertGreater(len(self.contents()), len(before))
        self.refused(2, "run", self.model, "--session", self.path("not there yet.session"))

    def test_random_numbers_go_on(self):
        warm = ["run", self.model, "--temperature", 1, "--seed", 3]
        ids = lambda *more: [token["id"] for token in self.json(*warm, *more)["tokens"]]
        whole = ids("--prompt", "Once", "-n", 20)
        self.assertEqual(ids("--prompt", "Once", "-n", 8, "--session", self.file) + ids("-n", 12, "--session", self.file), whole)

    def test_a_conversation_goes_on(self):
        questions = ["Hello", "And then?", "Why?"]
        whole = self.ask(*questions, kept=False)
        self.assertEqual(b"".join(self.ask(question) for question in questions), whole)
        # A command that answers one question goes on with it too.
        one = self.good("run", self.model, "--chat", "--prompt", "More", "-n", 9, *self.GREEDY, "--session", self.file)
        self.assertEqual(self.good("chat", self.model, "-n", 9, *self.GREEDY, "--session", self.file, "--prompt", "Again"),
                         self.ask(*questions, "More", "Again", kept=False)[len(whole + one):])
        # Forgotten is forgotten, in the file too.
        self.ask("/clear")
        self.assertNotIn(b"Hello", self.contents())
        self.assertEqual(self.ask("Hello"), self.ask("Hello", kept=False))

    def test_a_conversation_that_outgrows_the_context_goes_on(self):
        options = ["--context", 96]
        questions = [f"Say {word}." for word in ("one", "two", "three", "four", "five", "six")]
        whole = self.ask(*questions, kept=False, options=options)
        self.assertEqual(b"".join(self.ask(question, options=options) for question in questions), whole)

    def test_what_is_no_session_of_this_model_stays_as_it_is(self):
        self.ask("Hello")
        good = self.contents()
        other = self.path("other.linnet")
        self.good("synth", "tiny", other, "--seed", 2)
        chat = ["chat", self.model, "--prompt", "x", "-n", 2]
        sentence = self.refused(2, "chat", other, "--prompt", "x", "--session", self.file)
        self.assertIn("another model", sentence)
        self.assertIn("kept.session", sentence)
        self.assertIn("kv_format", self.refused(2, *chat, "--kv", "f16", "--session", self.file))
        self.assertIn("conversation", self.refused(2, "run", self.model, "--prompt", "x", "--session", self.file))
        self.refused(4, *chat, "--context", 8, "--session", self.file)
        self.assertEqual(self.contents(), good)
        self.refused(2, *chat, "--session", self.model)
        self.refused(2, *chat, "--session", self.folder)
        randomness = random.Random(4)
        for _ in range(12):
            bad = bytearray(good)
            if randomness.random() < 0.5:
                bad[randomness.randrange(len(bad))] ^= 1 << randomness.randrange(8)
            else:
                del bad[randomness.randrange(1, len(bad)):]
            with open(self.file, "wb") as file:
                file.write(bad)
            code, _, error = run(*chat, "--session", self.file)
            self.assertIn(code, (2, 3, 4), error)
            self.assertEqual(self.contents(), bytes(bad))
        with open(self.file, "w") as file:
            file.write("a letter to somebody " * 20)
        self.refused(3, *chat, "--session", self.file)

    def test_a_full_disk_leaves_the_old_file(self):
        self.ask("Hello")
        good = self.contents()
        limit = len(good) + 100
        code, _, error = run("chat", self.model, "-n", 9, "--prompt", "And a good deal more of it", "--session", self.file,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(code, 3)
        self.assertIn(b"is full or has a limit", error)
        self.assertEqual(self.contents(), good)
        self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name], [])

    def test_speculation_changes_no_token(self):
        prompt = ["--prompt", "Once upon a time", "-n", 60]
        for sampling in (["--temperature", 0], ["--temperature", 0.4, "--seed", 8, "--repetition-penalty", 1.1]):
            off = self.json("run", self.model, *prompt, *sampling, "--speculate", "off")
            on = self.json("run", self.model, *prompt, *sampling, "--speculate", "on")
            self.assertEqual(on["tokens"], off["tokens"])
            self.assertEqual(off["drafted"], 0)
            self.assertEqual(on["passes"] + on["accepted"], off["passes"])
        self.assertGreater(self.json("run", self.model, *prompt, "--temperature", 0, "--speculate", "on")["drafted"], 0)
        self.refused(2, "run", self.model, *prompt, "--speculate", "perhaps")


class Updates(Case):
    """linnet update: keys, updates, and a device with two slots in a file."""

    def setUp(self):
        self.work = tempfile.mkdtemp(dir=self.folder)
        self.at = lambda name: os.path.join(self.work, name)
        self.good("update", "keys", self.at("key"))
        self.good("synth", "tiny", self.at("two.linnet"), "--seed", 2)
        self.good("update", "format", self.at("device"), "--bytes", "4MiB")

    def make(self, name, model, release, *more):
        return self.json("update", "make", model, self.at(name), "--release", release, "--key", self.at("key"), *more)

    def apply(self, name):
        return ("update", "apply", self.at("device"), self.at(name), "--key", self.at("key.pub"))

    def test_two_releases(self):
        self.make("one", self.model, 1)
        made = self.make("two", self.at("two.linnet"), 2, "--from", self.model)
        self.assertLess(made["update_bytes"], made["model_bytes"] + 10000)
        self.good(*self.apply("one"))
        self.assertFalse(self.json("update", "show", self.at("device"))["on_trial"])
        self.good(*self.apply("two"))
        state = self.json("update", "show", self.at("device"))
        slot = state["slots"][state["active"]]
        self.assertEqual((slot["release"], slot["sha256"], state["on_trial"]), (2, made["sha256"], True))
        with open(self.at("device"), "rb") as device, open(self.at("two.linnet"), "rb") as model:
            device.seek(slot["offset"])
            self.assertEqual(device.read(slot["bytes"]), model.read())
        self.make("three", self.model, 3)
        self.assertIn("on trial", self.refused(2, *self.apply("three")))
        self.good("update", "show", self.at("device"), "--roll-back")
        state = self.json("update", "show", self.at("device"))
        self.assertEqual(state["slots"][state["active"]]["release"], 1)

    def test_refused(self):
        self.make("one", self.model, 1)
        self.good("update", "keys", self.at("other"))
        self.assertIn("not signed", self.refused(3, *self.apply("one")[:-1], self.at("other.pub")))
        with open(self.at("one"), "r+b") as update:
            update.seek(5000)
            update.write(b"damage")
        self.assertIn("damaged", self.refused(3, *self.apply("one")))
        self.refused(3, "update", "apply", self.at("device"), self.model, "--key", self.at("key.pub"))
        self.refused(3, "update", "apply", self.model, self.at("one"), "--key", self.at("key.pub"))
        self.refused(3, "update", "keys", self.at("key"))
        self.refused(3, "update", "make", self.model, self.at("x"), "--release", 1, "--key", self.at("key.pub"))
        self.refused(3, "update", "make", self.at("none"), self.at("x"), "--release", 1, "--key", self.at("key"))
        self.refused(2, "update", "show", self.at("device"), "--block", 1000)
        self.refused(2, "update", "make", self.model)
        self.refused(2, "update")
        self.assertEqual(os.stat(self.at("key")).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    if not os.access(LINNET, os.X_OK):
        sys.exit(f"{LINNET} is not a program")
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=1)
