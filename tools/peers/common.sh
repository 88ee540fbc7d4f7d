# What the scripts of tools/peers/ share: build/peers, and what stands in it. Sourced after tools/lib/common.sh and build.sh.
#
# shellcheck shell=bash

PEERS_FOLDER="$LINNET_ROOT/build/peers"

# fetch_llama_cpp: from npm, with the programs that call it beside it.
fetch_llama_cpp() {
    mkdir -p "$PEERS_FOLDER"
    cp "$LINNET_ROOT"/tools/peers/{package.json,llama_cpp.py,quantize.py} "$PEERS_FOLDER/"
    [ ! -d "$PEERS_FOLDER/node_modules/@node-llama-cpp/linux-x64" ] || return 0
    say "Fetching llama.cpp from npm ..."
    (cd "$PEERS_FOLDER" && npm install --ignore-scripts --no-audit --no-fund --silent) >&2 || fail "npm cannot fetch @node-llama-cpp/linux-x64."
}

# make_file FILE PROGRAM ARGUMENT...: by a Python program of tools/peers that takes the file's name last; nothing where the file is
# there already and newer than what makes it.
make_file() {
    local file=$1 program=$LINNET_ROOT/tools/peers/$2 source newer=no
    shift 2
    mkdir -p "$PEERS_FOLDER"
    for source in "$program" "$LINNET_ROOT"/tools/peers/{gguf_file.py,words.txt}; do
        if [ "$source" -nt "$file" ]; then newer=yes; fi
    done
    [ $newer = yes ] || return 0
    say "Making $file ..."
    python3 -B "$program" "$@" "$file.part" || fail "cannot make $file."
    mv "$file.part" "$file"
}

# make_shape NAME: random weights of a named shape; prints the file's path.
make_shape() {
    local file="$PEERS_FOLDER/$1.gguf"
    make_file "$file" random_gguf.py "$1"
    printf '%s\n' "$file"
}

# make_stories15m: the real model in Q4_0, out of LINNET_MODELS, else fetched; prints the file's path.
make_stories15m() {
    local folder="${LINNET_MODELS:-}/stories15M" file="$PEERS_FOLDER/stories15M-q4_0.gguf"
    [ -f "$folder/stories15M.bin" ] || folder=$("$LINNET_ROOT/tools/get_model.sh" stories15m --source --to "$PEERS_FOLDER") || return 1
    make_file "$file" llama2c_gguf.py "$folder/stories15M.bin" "$folder/tokenizer.bin"
    printf '%s\n' "$file"
}

# convert_for_linnet GGUF: into build/peers, unless it is there and newer; prints the path. The command is the variable `linnet`.
convert_for_linnet() {
    local model
    model="$PEERS_FOLDER/$(basename "${1%.gguf}").linnet"
    # shellcheck disable=SC2154
    [ "$model" -nt "$1" ] || "$linnet" convert "$1" "$model" >&2 || return 1
    printf '%s\n' "$model"
}
