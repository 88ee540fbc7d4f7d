"""The layout of the ports whose ecosystems are not here: a Zephyr module and an ESP-IDF component. Files where they are looked for, paths
in them that exist, and CMake files that, with stand-ins for the ecosystem's functions, name every source of the core and the options
that its bits depend on. What that does not show: that they build there.

    ports.py    prints "passed failed skipped"
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDERS = ["core", "core/*", "core/kernels/scalar"]


def core_sources():
    found = set()
    for folder in FOLDERS:
        found.update(glob.glob(os.path.join(ROOT, folder, "*.cpp")))
    return found


def yaml_value(text, *path):
    """The value of a key in the plain YAML of these files: nested by two spaces, no lists."""
    pattern = r"^"
    for depth, key in enumerate(path[:-1]):
        pattern += " " * (2 * depth) + re.escape(key) + r":[^\n]*\n(?:(?: +|#)[^\n]*\n)*?"
    pattern += " " * (2 * (len(path) - 1)) + re.escape(path[-1]) + r": *\"?([^\"\n]+)\"?$"
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found else None


def compiled(stand_in, *choices):
    """Sources and their commands, as the ecosystem would compile them."""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(["cmake", "-S", os.path.join(HERE, "ports", stand_in), "-B", work, "-G", "Ninja", *choices],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-2000:])
        with open(os.path.join(work, "compile_commands.json"), encoding="utf-8") as commands:
            return {os.path.normpath(entry["file"]): entry["command"] for entry in json.load(commands)}


def check_commands(commands, problems, options=("-ffp-contract=off", "-fno-math-errno")):
    missing = core_sources() - set(commands)
    if missing:
        problems.append(f"not compiled: {', '.join(sorted(os.path.relpath(path, ROOT) for path in missing))}")
    for path, command in commands.items():
        for option in options:
            if option not in command:
                problems.append(f"{os.path.relpath(path, ROOT)} is compiled without {option}")
        if path.endswith(".cpp") and not re.search(r"-std=(c|gnu)\+\+(20|2a)", command):
            problems.append(f"{os.path.relpath(path, ROOT)} is not compiled as C++20")


def zephyr():
    problems, module = [], os.path.join(ROOT, "embedded")
    with open(os.path.join(module, "zephyr/module.yml"), encoding="utf-8") as text:
        manifest = text.read()
    cmake, kconfig = yaml_value(manifest, "build", "cmake"), yaml_value(manifest, "build", "kconfig")
    if yaml_value(manifest, "name") != "linnet":
        problems.append("module.yml does not name the module")
    if not cmake or not os.path.isfile(os.path.join(module, cmake, "CMakeLists.txt")):
        problems.append("module.yml's build.cmake is no folder with a CMakeLists.txt")
    if not kconfig or not os.path.isfile(os.path.join(module, kconfig)):
        problems.append("module.yml's build.kconfig is no file")
    if not problems:
        check_commands(compiled("zephyr", f"-DMODULE={module}", f"-DCMAKE_FOLDER={cmake}"), problems)
        # A Cortex-M55 on which somebody wants the scalar kernels: the compiler makes no float vectors there either.
        check_commands(compiled("zephyr", f"-DMODULE={module}", f"-DCMAKE_FOLDER={cmake}", "-DCONFIG_ARMV8_1_M_MVEF=y"), problems,
                       ["-fno-tree-vectorize"])
        with open(os.path.join(module, kconfig), encoding="utf-8") as text:
            known = set(re.findall(r"^config (\w+)$", text.read(), re.MULTILINE))
        with open(os.path.join(module, cmake, "CMakeLists.txt"), encoding="utf-8") as text:
            used = set(re.findall(r"CONFIG_(LINNET\w*)", text.read()))
        if used - known:
            problems.append(f"Kconfig does not know {used - known}")
    return problems


def esp_idf():
    problems, component = [], os.path.join(ROOT, "embedded/esp-idf/linnet")
    with open(os.path.join(component, "idf_component.yml"), encoding="utf-8") as text:
        manifest = text.read()
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as text:
        version = re.search(r"project\(linnet VERSION ([\d.]+)", text.read()).group(1)
    if yaml_value(manifest, "version") != version:
        problems.append(f"idf_component.yml's version is not the project's, {version}")
    if not yaml_value(manifest, "dependencies", "idf", "version"):
        problems.append("idf_component.yml does not say which ESP-IDF it is for")
    check_commands(compiled("esp_idf", f"-DMODULE={component}"), problems)
    return problems


def main():
    passed = failed = 0
    for name, check in (("Zephyr module", zephyr), ("ESP-IDF component", esp_idf)):
        try:
            problems = check()
        except (RuntimeError, OSError) as problem:
            problems = [str(problem)]
        if problems:
            failed += 1
            print(f"  failed: {name}: {'; '.join(problems)}", file=sys.stderr)
        else:
            passed += 1
            print(f"  {name}: laid out as it must be; not built, for its toolchain is not here", file=sys.stderr)
    print(passed, failed, 0)
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
