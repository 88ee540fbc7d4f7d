#!/usr/bin/env python3
"""Writes the core as one header and one source, for those who drop files into a tree of their own.

    tools/amalgamate.py FOLDER [--kernels NAME...]

FOLDER/linnet.h is the C API with platform.h in it; FOLDER/linnet.cpp is everything else, and includes only linnet.h and the C++
library. The scalar kernels are always in it. --kernels adds others (avx2, avx512, helium, ...), for a compiler that is told to make
code for all of them: one source has one set of flags. The top of linnet.cpp says which those are.
"""
import argparse
import os
import re
import sys

HEAD = """\
// Linnet's core in one file. Written by tools/amalgamate.py; do not change it here.
//
// C++20, with -ffp-contract=off -fno-math-errno (else sqrtf is asked of the C library), and for boards -fno-exceptions -fno-rtti
// -fno-threadsafe-statics -ffunction-sections; for a Cortex-M with Helium's floats (mve.fp), which flush subnormal numbers to zero,
// -fno-tree-vectorize. It needs memcpy, memmove, memset, memcmp and strlen, and no C++ library at link time.
#if defined(__FAST_MATH__)
#error "Linnet's results are the same bits everywhere, which -ffast-math would end."
#endif
// A multiplication and an addition must never become one, also where the option above was forgotten.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && defined(__FP_FAST_FMAF)
#pragma GCC optimize("fp-contract=off")
#endif
#include "linnet.h"
"""
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ["core", "core/base", "core/model", "core/text", "core/ops", "core/session", "core/stream", "core/kernels", "core/kernels/scalar"]
OWN = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SYSTEM = re.compile(r"^\s*#\s*include\s+<([^>]+)>\s*$")
GUARD = re.compile(r"^\s*#\s*pragma\s+once\s*$")


# What a source defines for itself at the margin: a function, or a constant.
DEFINES = re.compile(r"^(?=\w)(?:template <.*> ?)?(?:static |inline |constexpr |const )*[\w:<>*& ]+?[ *&](\w+)(?:\(|\[\w*\] = | = |\{)")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return source.read()


def private_names(paths):
    """Names that several sources define for themselves, which no header knows: each gets a name of its own in one source."""
    users = {}
    for path in paths:
        for line in read(path).split("\n"):
            found = DEFINES.match(line)
            if found:
                users.setdefault(found.group(1), set()).add(path)
    headers = ""
    for folder, _, names in os.walk(os.path.join(ROOT, "core")):
        headers += "".join(read(os.path.join(folder, name)) for name in names if name.endswith(".h"))
    words = set(re.findall(r"\w+", re.sub(r"//[^\n]*|/\*.*?\*/", "", headers, flags=re.DOTALL)))
    return {name: files for name, files in users.items() if len(files) > 1 and name not in words}


class Amalgam:
    def __init__(self, known):
        self.seen = set(known)
        self.lines = []
        self.system = set()
        self.depth = 0  # of #if: what is included there stays there

    def add(self, path):
        if path in self.seen:
            return
        self.seen.add(path)
        self.lines.append(f"// ---- {path}")
        for line in read(path).rstrip("\n").split("\n"):
            own, system = OWN.match(line), SYSTEM.match(line)
            if re.match(r"^\s*#\s*if", line):
                self.depth += 1
            elif re.match(r"^\s*#\s*endif", line):
                self.depth -= 1
            if own:
                self.add(own.group(1))
            elif system and self.depth == 0:
                self.system.add(system.group(1))
            elif not GUARD.match(line):
                self.lines.append(line)


def header():
    """linnet.h with platform.h where it includes it."""
    text = read("core/linnet.h")
    include = '#include "platform/platform.h"\n'
    if text.count(include) != 1:
        raise SystemExit("core/linnet.h does not include platform.h as this program expects.")
    return text.replace(include, read("platform/platform.h"))


def sources(kernels):
    found = []
    for folder in FOLDERS + [f"core/kernels/{name}" for name in kernels]:
        path = os.path.join(ROOT, folder)
        if not os.path.isdir(path):
            raise SystemExit(f"There is no folder {folder}.")
        found += [f"{folder}/{name}" for name in sorted(os.listdir(path)) if name.endswith(".cpp")]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--kernels", nargs="*", default=[])
    choices = parser.parse_args()
    amalgam = Amalgam(["core/linnet.h", "platform/platform.h"])
    paths = sources(choices.kernels)
    private = private_names(paths)
    for path in paths:
        mine = sorted(name for name, files in private.items() if path in files)
        suffix = re.sub(r"\W", "_", path[len("core/") : -len(".cpp")])
        amalgam.lines += [""] + [f"#define {name} {name}_of_{suffix}" for name in mine]
        amalgam.add(path)
        amalgam.lines += [f"#undef {name}" for name in mine]
    text = HEAD.split("\n")
    text += [f"#include <{name}>" for name in sorted(amalgam.system)] + [""]
    text += [f"#define LINNET_HAVE_{name.upper()} 1" for name in choices.kernels]
    os.makedirs(choices.folder, exist_ok=True)
    with open(os.path.join(choices.folder, "linnet.h"), "w", encoding="utf-8") as out:
        out.write(header())
    with open(os.path.join(choices.folder, "linnet.cpp"), "w", encoding="utf-8") as out:
        out.write("\n".join(text + amalgam.lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
