#!/usr/bin/env bash
# From nothing to a chat: installs what is missing, builds, gets a model, and serves the chat page or talks in the terminal.
set -euo pipefail
SCRIPT_NAME=tools/demo.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"
. "$LINNET_ROOT/tools/lib/web.sh"

help() {
    cat <<'TEXT'
Usage: tools/demo.sh [--cli] [--model NAME|FILE] [--port N] [--prompt TEXT]

Installs what is missing (Debian 12, as root or through sudo), builds Linnet, fetches a model, and serves the chat page on
this machine with the model beside it; the page's address is printed. The first run takes some minutes, most of them for
downloads (319 MB for the model, 110 MB of tools); later ones start at once and need no network.

Options:
  --cli           chat in this terminal instead
  --prompt TEXT   answer this one question in the terminal and end. Only the answer goes to standard output
  --model M       a model of "tools/get_model.sh --list", or a .linnet file. Default: tinyllama
  --port N        serve the page at this port. Default: 4173, or the next that is free
  --help          this text
TEXT
}

prompt='' prompt_given=no model=tinyllama cli=no port=''
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --cli) cli=yes ;;
        --prompt) [ $# -ge 2 ] || usage_error "--prompt wants a text."
                  prompt=$2 prompt_given=yes; shift ;;
        --prompt=*) prompt=${1#--prompt=} prompt_given=yes ;;
        --model) [ $# -ge 2 ] || usage_error "--model wants a name or a file."
                 model=$2; shift ;;
        --model=*) model=${1#--model=} ;;
        --port) [ $# -ge 2 ] || usage_error "--port wants a number."
                port=$2; shift ;;
        --port=*) port=${1#--port=} ;;
        *) usage_error "there is no option $1." ;;
    esac
    shift
done
[ $prompt_given = no ] || [ -n "$prompt" ] || usage_error "--prompt wants a text that is not empty."
if [ -n "$port" ]; then
    if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then usage_error "--port wants a number from 1 to 65535."; fi
fi

case $model in
    */* | *.linnet)
        [ -f "$model" ] || usage_error "there is no file $model."
        file=$model ;;
    *) file='' ;;
esac

# ---- the terminal ----------------------------------------------------------------------------------------------------------
if [ $cli = yes ] || [ $prompt_given = yes ]; then
    linnet=$(build_linnet)
    [ -n "$file" ] || file=$("$LINNET_ROOT/tools/get_model.sh" "$model")
    say ""
    if [ $prompt_given = yes ]; then
        exec "$linnet" run "$file" --prompt "$prompt" --chat --temperature 0
    fi
    [ -t 0 ] || say "(standard input is not a terminal: each line of it is a message)"
    exec "$linnet" chat "$file"
fi

# ---- the page --------------------------------------------------------------------------------------------------------------
# page_is_new: no source of the page is newer than what was built.
page_is_new() {
    [ -f "$LINNET_ROOT/build/web_demo/index.html" ] &&
        [ -z "$(cd "$LINNET_ROOT" && find core platform tools/bench tools/converter wasm web_demo \( -name node_modules -o -name dist \) -prune \
            -o -type f -newer build/web_demo/index.html -print -quit)" ]
}

if ! page_is_new; then
    "$LINNET_ROOT/tools/install.sh" wasm
    "$LINNET_ROOT/wasm/package.sh" >/dev/null
    say "Building the page ..."
    build_page || fail "the page could not be built; build/page.log and build/npm.log have all of it."
fi
node=$(web_node)

about=()
if [ -z "$file" ]; then
    file=$("$LINNET_ROOT/tools/get_model.sh" "$model")
    # What the list says of it: the line after its name describes it, most often with the name in full before a comma, and
    # another has its licence.
    entry=$("$LINNET_ROOT/tools/get_model.sh" --list | grep -A 3 -xF -- "$model")
    description=$(sed -n '2s/^ *//p' <<<"$entry")
    licence=$(sed -n 's/^ *licence \(.*\), from .*/\1/p' <<<"$entry")
    name=$model
    if [[ $description =~ ^([A-Z][^,:]*),\ (.*)$ ]]; then
        name=${BASH_REMATCH[1]}
        description=${BASH_REMATCH[2]^}.
    fi
    about=(--name "$name" --license "$licence" --description "$description")
fi
[ -z "$port" ] || about+=(--port "$port")
exec "$node" "$LINNET_ROOT/web_demo/serve.mjs" --model "$file" ${about[@]+"${about[@]}"}
