# Fetches from Debian's archive into a folder of our own, whatever release this machine has: nothing of the system's apt is changed.
# Sourced after common.sh.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_mirror ADVICE: the mirror that this machine's own sources name, in either of apt's two formats.
debian_mirror() {
    local mirror
    [ -r $DEBIAN_KEYRING ] || fail "$DEBIAN_KEYRING is missing, which says whom to trust. Please install the package debian-archive-keyring."
    mirror=$({
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+)[[:space:]]+[^[:space:]]+[[:space:]].*main.*/\2/p'
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -nE 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p'
    } | grep -E '/debian/?$' | head -n 1 || true)
    [ -n "$mirror" ] || fail "no Debian mirror stands in this machine's /etc/apt. $1"
    printf '%s\n' "$mirror"
}

# debian_apt_begin FOLDER TYPE SUITE MIRROR: makes FOLDER anew, in which debian_apt works, and deletes it when the script ends. TYPE: deb or deb-src.
# What is said there stands in FOLDER/log.
debian_apt_begin() {
    debian_work=$1
    rm -rf "$debian_work"
    mkdir -p "$debian_work"/apt/{lists/partial,archives/partial}
    trap 'rm -rf "$debian_work"' EXIT
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$2" "$4" "$3" $DEBIAN_KEYRING >"$debian_work/apt/debian.sources"
    cat >"$debian_work/apt/apt.conf" <<TEXT
Dir::Etc::sourcelist "$debian_work/apt/debian.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Dir::State "$debian_work/apt";
Dir::State::lists "$debian_work/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$debian_work/apt";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
TEXT
}

debian_apt() { APT_CONFIG=$debian_work/apt/apt.conf apt-get -q "$@" >>"$debian_work/log" 2>&1 </dev/null; }

# debian_explain WORD...: fails with the end of the log, and these words.
debian_explain() {
    tail -n 10 "$debian_work/log" >&2
    fail "$*"
}
