"""Looks into a linked image of a board for what must not be in it: a heap, exceptions, static constructors, stdio, libm.

    image.py FILE.elf    prints what it found; exit code 1 when there is anything

Works on the ELF file itself, so that it is the same for every processor and needs no toolchain.
"""
import re
import struct
import sys

# Sections that run something before main, or that describe how to unwind. Whatever their names, their ELF types give some away.
BEFORE_MAIN = re.compile(r"^\.(preinit_array|init_array|ctors|before_main)(\..*)?$")
UNWINDING = re.compile(r"^\.(ARM\.exidx|ARM\.extab|eh_frame|eh_frame_hdr|gcc_except_table|exceptions)(\..*)?$")
SHT_INIT_ARRAY, SHT_PREINIT_ARRAY, SHT_ARM_EXIDX = 14, 16, 0x70000001

SYMBOLS = [
    ("a heap", re.compile(r"^(_?_?(malloc|calloc|realloc|free|memalign|aligned_alloc)(_r)?|_?sbrk(_r)?|_Zn[wa].*|_Zd[la]Pv.*)$")),
    ("exceptions", re.compile(r"^(__gxx_personality.*|_Unwind_.*|__aeabi_unwind_cpp_pr\d|__cxa_(throw|begin_catch|end_catch|allocate_exception|rethrow)"
                              r"|__register_frame(_info)?|_ZSt9terminatev)$")),
    ("static constructors", re.compile(r"^(_GLOBAL__(sub_)?[ID]_.*|__cxa_atexit|__aeabi_atexit|atexit|__cxa_guard_acquire|__libc_init_array"
                                       r"|_Z41__static_initialization_and_destruction_0.*)$")),
    ("RTTI", re.compile(r"^(_ZT[IS].*|__dynamic_cast)$")),
    ("stdio", re.compile(r"^(_?[vfsd]*n?i?printf(_r)?|_?(puts|fputs|fwrite|fopen|putchar|fflush)(_r)?|_?sn?i?printf(_r)?)$")),
    ("libm", re.compile(r"^(sin|cos|tan|exp|exp2|log|log2|log10|pow|sqrt|tanh|erf|floor|ceil|round|rint|fmod|fma)f?l?$")),
    ("a way to abort", re.compile(r"^(abort|exit|_exit|raise|__assert_func|__stack_chk_fail)$")),
]


class Image:
    """Sections (name, type, flags, address, size) and the names of defined symbols of an ELF file, 32 or 64 bits, little-endian."""

    def __init__(self, path):
        data = open(path, "rb").read()
        if data[:4] != b"\x7fELF" or data[5] != 1:
            raise ValueError(f"{path} is no little-endian ELF file")
        wide = data[4] == 2
        table, = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
        entry, count, names = struct.unpack_from("<HHH", data, 58 if wide else 46)
        self.sections = []
        raw = []
        for i in range(count):
            if wide:
                name, kind, flags, address, offset, size, link = struct.unpack_from("<IIQQQQI", data, table + i * entry)
            else:
                name, kind, flags, address, offset, size, link = struct.unpack_from("<IIIIIII", data, table + i * entry)
            raw.append((name, kind, flags, address, offset, size, link))
        text = lambda at: data[at:data.index(b"\0", at)].decode("utf-8", "replace")
        for name, kind, flags, address, offset, size, link in raw:
            self.sections.append((text(raw[names][4] + name), kind, flags, address, size))
            # libgcc's 64-bit division brings one entry that says "this cannot be unwound" (EXIDX_CANTUNWIND, 1): no table at all.
            if kind == SHT_ARM_EXIDX and all(word == 1 for word in struct.unpack_from(f"<{size // 4}I", data, offset)[1::2]):
                self.sections.pop()
        self.symbols = set()
        for name, kind, flags, address, offset, size, link in raw:
            if kind != 2:
                continue
            strings = raw[link][4]
            step = 24 if wide else 16
            for at in range(offset, offset + size, step):
                where, = struct.unpack_from("<I", data, at)
                index, = struct.unpack_from("<H", data, at + (6 if wide else 14))
                if where and index:
                    self.symbols.add(text(strings + where))

    def bytes_of(self, name):
        return sum(size for section, _, _, _, size in self.sections if section == name)


def findings(path):
    image = Image(path)
    found = []
    if not image.symbols:
        found.append("it has no symbols, so that nothing can be said of it")
    for name, kind, flags, _, size in image.sections:
        if size == 0:
            continue
        if BEFORE_MAIN.match(name) or kind in (SHT_INIT_ARRAY, SHT_PREINIT_ARRAY):
            found.append(f"static constructors: section {name} of {size} bytes")
        elif UNWINDING.match(name) or kind == SHT_ARM_EXIDX:
            found.append(f"exceptions: section {name} of {size} bytes")
    for what, pattern in SYMBOLS:
        for symbol in sorted(image.symbols):
            if pattern.match(symbol):
                found.append(f"{what}: {symbol}")
    return found


if __name__ == "__main__":
    result = [line for path in sys.argv[1:] for line in findings(path)]
    print("\n".join(result) if result else "clean: no heap, no exceptions, no static constructors, no RTTI, no stdio, no libm")
    sys.exit(1 if result else 0)
