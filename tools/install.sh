#!/usr/bin/env bash
# Installs what is missing, with Debian's own package manager, and nothing that is there already.
set -euo pipefail
SCRIPT_NAME=tools/install.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

help() {
    cat <<'TEXT'
Usage: tools/install.sh [SET...]

Installs the Debian packages that are missing, as root or through sudo. Nothing happens when all are there.

Sets (default: build):
  build   what builds and runs the linnet command     tools/packages.txt
  gcc     the same with g++ instead of clang
  model   what tools/get_model.sh needs               tools/packages_model.txt
  test    all that tools/test.sh needs, the sets above included
  wasm    what builds the WebAssembly modules         tools/packages_wasm.txt
  browser what runs the tests in a real browser       tools/packages_browser.txt
  boards  what builds and runs the boards' images     tools/packages_boards.txt
  peers   what tools/peers/ needs (node and npm)

Options:
  --check   only say what is missing; exit code 1 when something is
  --help    this text

Written for Debian 12 (bookworm). On other systems, install what the lists in tools/packages*.txt name by your own means:
the scripts then find it all there and install nothing.
TEXT
}

# The packages of a list file, comments and blank lines left out.
list() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$LINNET_ROOT/tools/$1"; }

packages_of() {
    case $1 in
        build) list packages.txt ;;
        wasm) list packages.txt; list packages_wasm.txt ;;
        gcc) echo g++; list packages.txt | grep -vE '^(clang|lld)' ;;
        model) list packages_model.txt ;;
        browser) list packages_browser.txt ;;
        boards) list packages_boards.txt ;;
        test)
            list packages.txt; list packages_model.txt; list packages_test.txt
            list packages_wasm.txt; list packages_browser.txt ;;
        peers) printf '%s\n' nodejs npm ;;
        *) return 1 ;;
    esac
}

check_only=no
sets=()
for argument in "$@"; do
    case $argument in
        --help | -h) help; exit 0 ;;
        --check) check_only=yes ;;
        -*) usage_error "there is no option $argument." ;;
        *) packages_of "$argument" >/dev/null || usage_error "there is no set named \"$argument\"."
           sets+=("$argument") ;;
    esac
done
[ ${#sets[@]} -gt 0 ] || sets=(build)
wanted=$(for set in "${sets[@]}"; do packages_of "$set"; done | sort -u)

# What a package is for, as a command or header that can be there without the package: on other systems, or when somebody
# has installed a newer one by hand.
present_otherwise() {
    case $1 in
        clang-19) have clang++-19 ;;
        lld-19) have ld.lld-19 ;;
        llvm-19) have llvm-ar-19 ;;
        node-acorn) [ -d /usr/share/nodejs/acorn ] ;;
        clang-format-19 | clang-tidy-19 | g++ | cmake | curl | python3 | npm) have "$1" ;;
        nodejs) have node ;;
        chromium) [ -n "${LINNET_CHROMIUM:-}" ] || have chromium || have chromium-browser || have google-chrome ;;
        fonts-*) have fc-list && [ -n "$(fc-list 2>/dev/null | head -n 1)" ] ;;
        python3-numpy) python3 -c 'import numpy' 2>/dev/null ;;
        ninja-build) have ninja ;;
        perl-base) have perl ;;
        gcc-arm-none-eabi) have arm-none-eabi-g++ ;;
        libnewlib-arm-none-eabi) have arm-none-eabi-gcc && [ -e "$(arm-none-eabi-gcc -print-file-name=libc.a)" ] ;;
        picolibc-aarch64-linux-gnu) [ -e /usr/lib/picolibc/aarch64-linux-gnu/lib/libc.a ] ;;
        g++-aarch64-linux-gnu) have aarch64-linux-gnu-g++ ;;
        qemu-system-arm) have qemu-system-arm && have qemu-system-aarch64 ;;
        qemu-user) have qemu-aarch64 ;;
        dpkg-dev) have dpkg-source ;;
        sentencepiece) have spm_encode ;;
        ca-certificates) [ -d /etc/ssl/certs ] ;;
        libcli11-dev) [ -e /usr/include/CLI/CLI.hpp ] || [ -e /usr/local/include/CLI/CLI.hpp ] ;;
        nlohmann-json3-dev) [ -e /usr/include/nlohmann/json.hpp ] || [ -e /usr/local/include/nlohmann/json.hpp ] ;;
        libedit-dev) [ -e /usr/include/editline/readline.h ] || [ -e /usr/local/include/editline/readline.h ] ;;
        doctest-dev) [ -e /usr/include/doctest/doctest.h ] || [ -e /usr/local/include/doctest/doctest.h ] ;;
        *) return 1 ;;
    esac
}

installed() {
    if have dpkg-query; then
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
    else
        present_otherwise "$1"
    fi
}

missing=()
for package in $wanted; do
    # On Debian node is often newer from elsewhere, without Debian's package; npm then comes with it. So may be the browser.
    case $package in nodejs | npm | python3 | chromium) present_otherwise "$package" && continue ;; esac
    installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ $check_only = yes ]; then
    say "Missing: ${missing[*]}"
    exit 1
fi
have apt-get && have dpkg-query ||
    fail "these are missing: ${missing[*]} (Debian's names). This system has no apt-get: please install them by its own means, then run this again."
if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root() { sudo "$@"; }
else
    fail "these packages are missing and only root may install them. Please have somebody run: apt-get install --no-install-recommends ${missing[*]}"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null
}
explain() {
    tail -n 15 "$log" >&2
    fail "$*"
}

say "Installing with apt-get: ${missing[*]}"
# The lists are fetched only when they lack one of the packages or when what they point at is no longer there.
known() { apt-cache show --no-all-versions "$@" >/dev/null 2>&1; }
known "${missing[@]}" || apt update || explain "apt-get update failed: is the network there?"
known "${missing[@]}" || explain "the package sources of this system lack one of: ${missing[*]}. Linnet's scripts are written for Debian 12 (bookworm)."
apt install --no-install-recommends "${missing[@]}" ||
    { apt update && apt install --no-install-recommends "${missing[@]}"; } ||
    explain "apt-get could not install: ${missing[*]}"
