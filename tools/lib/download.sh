# Downloads that can be taken up again, checked before anything uses them. Sourced after common.sh.

# The npm registry of this machine: a mirror, where npm is told of one.
npm_registry() {
    local registry=''
    if have npm; then registry=$(cd / && npm config get registry 2>/dev/null) || registry=''; fi
    case $registry in http://* | https://*) ;; *) registry=https://registry.npmjs.org ;; esac
    printf '%s\n' "${registry%/}"
}

# The certificates that npm is told of, for curl, where curl is told of none.
download_options=()
if [ -z "${CURL_CA_BUNDLE:-}" ] && have npm; then
    npm_certificates=$(cd / && npm config get cafile 2>/dev/null) || npm_certificates=null
    [ -f "$npm_certificates" ] && download_options=(--cacert "$npm_certificates")
fi

# What curl's exit code means to a person.
curl_reason() {
    case $1 in
        5 | 6) echo "the name of the server cannot be looked up (no network?)" ;;
        7 | 28) echo "the server does not answer" ;;
        18 | 55 | 56 | 92) echo "the connection broke off" ;;
        22) echo "the server refuses or does not have the file" ;;
        23) echo "the file cannot be written (a full disk?)" ;;
        35 | 51 | 58 | 60 | 77) echo "the server's certificate cannot be checked" ;;
        *) echo "curl ended with code $1" ;;
    esac
}

# A line now and then for logs, where no terminal shows curl's bar. Ends with the script, however that ends.
watch_size() {
    local file=$1 total=$2 before now started=$SECONDS
    before=$(file_size "$file")
    while sleep 10 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        now=$(file_size "$file")
        say "  $(megabytes "$now") of $(megabytes "$total"), $(((now - before) / 1000 / (SECONDS - started + 1))) kB/s"
    done
}

# download URL FILE SIZE: FILE grows until it has SIZE bytes; what is there already is kept. Says why when it cannot; returns 1.
download() {
    local url=$1 file=$2 size=$3 tries=0 code have_bytes watcher
    local progress=(--silent)
    [ -t 2 ] && progress=(--progress-bar)
    while [ $((tries += 1)) -le 5 ]; do
        have_bytes=$(file_size "$file")
        [ "$have_bytes" -gt "$size" ] && rm -f "$file" && have_bytes=0
        [ "$have_bytes" -eq "$size" ] && return 0
        if [ "$have_bytes" -gt 0 ]; then
            say "Taking up the download at $(megabytes "$have_bytes") of $(megabytes "$size"): ${url##*/}"
        else
            say "Downloading ${url##*/} ($(megabytes "$size")) from ${url%%/-/*}"
        fi
        watcher=''
        if [ ! -t 2 ]; then
            watch_size "$file" "$size" 9>&- &
            watcher=$!
        fi
        code=0
        curl --fail --location "${progress[@]}" ${download_options[@]+"${download_options[@]}"} --connect-timeout 20 \
            --speed-limit 1000 --speed-time 30 --continue-at - --output "$file" "$url" </dev/null || code=$?
        [ -z "$watcher" ] || { kill "$watcher" && wait "$watcher"; } 2>/dev/null || true
        case $code in
            0) [ "$(file_size "$file")" -eq "$size" ] && return 0
               say "$(basename "$file") has $(file_size "$file") bytes; $size were expected."
               rm -f "$file" ;;
            33) rm -f "$file" ;;                      # this server cannot go on in the middle: from the start
            18 | 28 | 52 | 55 | 56 | 92) sleep 2 ;;   # a connection that broke: go on where it did
            *) say "Cannot download $url: $(curl_reason $code)."
               return 1 ;;
        esac
    done
    say "Cannot download $url: $(curl_reason "${code:-18}"), five times. What has come is kept; run this again to go on."
    return 1
}

# verify FILE ALGORITHM HEX: returns 1 when the file is another. ALGORITHM: sha1, sha256, sha512.
verify() {
    local sum
    sum=$("${2}sum" <"$1") || return 1
    [ "${sum%% *}" = "$3" ]
}

# npm_tarball PACKAGE VERSION SIZE SHA512 FILE: a package's tarball, whole and checked.
npm_tarball() {
    local package=$1 version=$2 size=$3 sum=$4 file=$5 registry directory
    registry=$(npm_registry)
    if ! download "$registry/$package/-/${package##*/}-$version.tgz" "$file" "$size"; then
        # A registry that wants to be logged in to: npm knows how, but cannot take a download up again.
        have npm || return 1
        say "Trying npm pack in curl's place ..."
        directory=$(dirname "$file")
        (cd "$directory" && npm pack --silent --pack-destination "$directory" "$package@$version" >/dev/null 2>&1 </dev/null) || {
            say "npm cannot fetch $package@$version either. Is this machine online? The registry is $registry."
            return 1
        }
        mv "$directory/${package##*/}-$version.tgz" "$file"
    fi
    if ! verify "$file" sha512 "$sum"; then
        rm -f "$file"
        say "The download of $package@$version is damaged (its SHA-512 is wrong) and has been deleted. Please try again."
        return 1
    fi
}

# hub_file REPOSITORY NAME FOLDER: one file of a Hugging Face repository, checked against the size and the hash that the hub
# itself gives for it. HF_ENDPOINT names a mirror, as it does for the hub's own programs.
hub_file() {
    local repository=$1 name=$2 file="$3/$2" url head size sum code=0
    [ -f "$file" ] && return 0
    url="${HF_ENDPOINT:-https://huggingface.co}/$repository/resolve/main/$name"
    head=$(curl --fail --silent --head ${download_options[@]+"${download_options[@]}"} --connect-timeout 20 --max-time 60 "$url" </dev/null) || code=$?
    if [ $code -ne 0 ]; then
        say "Cannot reach $url: $(curl_reason $code)."
        return 1
    fi
    head=$(printf '%s' "$head" | tr -d '\r')
    hub_header() { printf '%s\n' "$head" | sed -n "s/^$1: *//Ip" | tail -n 1 | tr -d '"' | sed 's/^W\///'; }
    # Large files are redirected: these two headers are the file's own, before the redirection.
    size=$(hub_header x-linked-size)
    sum=$(hub_header x-linked-etag)
    [ -n "$size" ] || size=$(hub_header content-length)
    [ -n "$sum" ] || sum=$(hub_header etag)
    case $size in '' | *[!0-9]*) say "The hub gives no size for $url: is that address still right?"; return 1 ;; esac
    download "$url" "$file.part" "$size" || return 1
    case ${#sum} in
        64) verify "$file.part" sha256 "$sum" ;;
        40) [ "$({ printf 'blob %s\0' "$size"; cat "$file.part"; } | sha1sum)" = "$sum  -" ] ;;
        *) : ;;
    esac || {
        rm -f "$file.part"
        say "The download of $name is damaged (its hash is wrong) and has been deleted. Please try again."
        return 1
    }
    mv "$file.part" "$file"
}
