#!/usr/bin/env bash
# From nothing to a chat: installs what is missing, builds, gets a model, talks.
set -euo pipefail
SCRIPT_NAME=tools/demo.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$LINNET_ROOT/tools/lib/build.sh"

help() {
    cat <<'TEXT'
Usage: tools/demo.sh [--cli] [--model NAME|FILE] [--prompt TEXT]

Installs what is missing (Debian 12, as root or through sudo), builds Linnet, fetches a model, and starts a chat in this
terminal. The first run takes a few minutes, most of them for the download (319 MB); later ones start at once and need no
network.

Options:
  --prompt TEXT   answer this one question and end. Only the answer goes to standard output
  --model M       a model of "tools/get_model.sh --list", or a .linnet file. Default: tinyllama
  --cli           chat in the terminal. This is what happens in any case until the chat page is there
  --help          this text
TEXT
}

prompt='' prompt_given=no model=tinyllama
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) help; exit 0 ;;
        --cli) ;;
        --prompt) [ $# -ge 2 ] || usage_error "--prompt wants a text."
                  prompt=$2 prompt_given=yes; shift ;;
        --prompt=*) prompt=${1#--prompt=} prompt_given=yes ;;
        --model) [ $# -ge 2 ] || usage_error "--model wants a name or a file."
                 model=$2; shift ;;
        --model=*) model=${1#--model=} ;;
        *) usage_error "there is no option $1." ;;
    esac
    shift
done
[ $prompt_given = no ] || [ -n "$prompt" ] || usage_error "--prompt wants a text that is not empty."

case $model in
    */* | *.linnet)
        [ -f "$model" ] || usage_error "there is no file $model."
        file=$model ;;
    *) file='' ;;
esac

linnet=$(build_linnet)
[ -n "$file" ] || file=$("$LINNET_ROOT/tools/get_model.sh" "$model")
say ""
if [ $prompt_given = yes ]; then
    exec "$linnet" run "$file" --prompt "$prompt" --chat --temperature 0
fi
[ -t 0 ] || say "(standard input is not a terminal: each line of it is a message)"
exec "$linnet" chat "$file"
