#!/usr/bin/env bash
# Has libsodium's source ready, which the boards compile their SHA-256 and Ed25519 from, and prints where it is.
set -euo pipefail
SCRIPT_NAME=tools/sodium.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/debian.sh"

# What Debian 12 has: 1.0.18, with the patches of its security team.
PACKAGE=libsodium
SUITE=bookworm

help() {
    cat <<TEXT
Usage: tools/sodium.sh

Prints the folder of libsodium's source. \$LINNET_SODIUM_SOURCE is used where it is set; else the source package $PACKAGE of Debian
12 is downloaded (12 MB with the lists, some seconds, once), verified by apt and unpacked into build/sodium. It needs the packages of
"tools/install.sh boards", and changes nothing outside that folder.
TEXT
}

for argument in "$@"; do
    case $argument in
        --help | -h) help; exit 0 ;;
        *) usage_error "there is no option $argument." ;;
    esac
done

proof=src/libsodium/crypto_sign/ed25519/ref10/open.c
if [ -n "${LINNET_SODIUM_SOURCE:-}" ]; then
    [ -f "$LINNET_SODIUM_SOURCE/$proof" ] || fail "LINNET_SODIUM_SOURCE names $LINNET_SODIUM_SOURCE, which has no $proof."
    printf '%s\n' "$LINNET_SODIUM_SOURCE"
    exit 0
fi
prefix=$LINNET_ROOT/build/sodium
if [ -f "$prefix/$proof" ]; then
    printf '%s\n' "$prefix"
    exit 0
fi

have apt-get && have dpkg-source ||
    fail "libsodium's source comes from Debian's archive, by apt-get and dpkg-source (tools/install.sh boards). Elsewhere, unpack libsodium 1.0.18 and name its folder in LINNET_SODIUM_SOURCE."
mirror=$(debian_mirror "Please unpack libsodium 1.0.18 and name its folder in LINNET_SODIUM_SOURCE.")
# Made in a folder beside its place, so that an interrupted run leaves nothing that looks whole.
work=$prefix.part
debian_apt_begin "$work" deb-src $SUITE "$mirror"

say "Fetching libsodium's source from $mirror ..."
debian_apt update || debian_explain "the lists of Debian 12's sources could not be read from $mirror: is the network there?"
(cd "$work" && debian_apt source --download-only "$PACKAGE") || debian_explain "$PACKAGE could not be fetched from $mirror."
# apt has compared what it fetched with the signed lists.
(cd "$work" && dpkg-source --no-check -x "$PACKAGE"_*.dsc source >>"$work/log" 2>&1) || debian_explain "libsodium's source could not be unpacked."
[ -f "$work/source/$proof" ] || fail "Debian's source of libsodium is not laid out as this script expects."
rm -rf "$prefix"
mv "$work/source" "$prefix"
printf '%s\n' "$prefix"
