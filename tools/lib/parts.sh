# Runs the parts of tools/test.sh, one by one or in lanes side by side, and counts what they say. Sourced after common.sh.
#
# A part is a function part_NAME that calls record at its end. A part that ends in any other way has failed: nothing is counted as
# passed that has not said so. Beside others a part writes to build/logs/NAME.log; what it recorded stands in NAME.result, and what is to
# be seen of it also when all is well in NAME.report.

PART_FOLDER=$LINNET_ROOT/build/logs
lane_pids=()

# record PART PASSED FAILED SKIPPED SECONDS [NOTE]
record() { printf '%d %d %d %d %s\n' "$2" "$3" "$4" "$5" "${6:-}" >"$PART_FOLDER/$1.result"; }

# The line of a part for the eye.
result_line() {
    local passed failed skipped seconds note
    read -r passed failed skipped seconds note <"$PART_FOLDER/$1.result"
    printf '%-8s %5d passed %3d failed %3d skipped %5d s%s' "$1" "$passed" "$failed" "$skipped" "$seconds" "${note:+  ($note)}"
}

# run_part NAME [LOG]: in a process of its own, so that `set -e`, an exit and a signal end the part and nothing else.
run_part() {
    local name=$1 log=${2:-} started=$SECONDS code=0 passed failed rest
    rm -f "$PART_FOLDER/$name.result" "$PART_FOLDER/$name.report"
    if [ -n "$log" ]; then
        say "== $name: begun, in ${log#"$LINNET_ROOT"/}"
        "part_$name" >"$log" 2>&1 </dev/null &
    else
        "part_$name" >&2 </dev/null &
    fi
    wait $! || code=$?
    if [ ! -s "$PART_FOLDER/$name.result" ]; then
        record "$name" 0 1 0 $((SECONDS - started)) "it ended with exit code $code and said nothing"
    else
        read -r passed failed rest <"$PART_FOLDER/$name.result"
        if [ $code -ne 0 ] && [ "$failed" -eq 0 ]; then
            record "$name" "$passed" 1 "${rest%% *}" $((SECONDS - started)) "it ended with exit code $code"
        fi
    fi
    read -r passed failed rest <"$PART_FOLDER/$name.result"
    if [ -n "$log" ]; then
        # One write, so that lanes do not mix their lines: all of a failure, and of the rest what was left out.
        if [ "$failed" -ne 0 ]; then
            say "$(printf -- '---- %s\n' "$log"; cat "$log"; printf -- '---- the end of %s' "$log")"
        else
            grep -E '^ *skipped: ' "$log" >&2 || true
            [ ! -s "$PART_FOLDER/$name.report" ] || cat "$PART_FOLDER/$name.report" >&2
        fi
    fi
    say "$(result_line "$name")"
}

# begin_lane COMMAND...: in a process group of its own, which can be ended as a whole.
begin_lane() {
    set -m
    {
        set +m
        trap - INT TERM HUP EXIT
        "$@"
    } &
    lane_pids+=($!)
    set +m
}

wait_for_lanes() {
    wait "${lane_pids[@]}" || true
    lane_pids=()
}

run_lane() {
    local part
    for part in "$@"; do run_part "$part" "$PART_FOLDER/$part.log"; done
}

# run_lanes "PART PART…" "PART…": the lanes side by side, the parts of a lane one after the other.
run_lanes() {
    local lane
    for lane in "$@"; do
        # shellcheck disable=SC2086  # the parts of a lane are words
        begin_lane run_lane $lane
    done
    wait_for_lanes
}

# One part, and what it says as it says it.
run_alone() {
    begin_lane run_part "$1"
    wait_for_lanes
}

# Ends every process of every lane.
stop_lanes() {
    local pid
    for pid in ${lane_pids[@]+"${lane_pids[@]}"}; do kill -TERM -- "-$pid" 2>/dev/null || true; done
    wait || true
}
trap 'stop_lanes; exit 130' INT
trap 'stop_lanes; exit 143' TERM
trap 'stop_lanes; exit 129' HUP

# summarize PART…: a line a part, the sum on standard output, and 1 when anything failed.
summarize() {
    local part passed failed skipped rest total_passed=0 total_failed=0 total_skipped=0
    say ""
    for part in "$@"; do
        [ -s "$PART_FOLDER/$part.result" ] || record "$part" 0 1 0 0 "it did not run to its end"
        say "$(result_line "$part")"
        read -r passed failed skipped rest <"$PART_FOLDER/$part.result"
        total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_skipped=$((total_skipped + skipped))
    done
    printf '%d passed, %d failed, %d skipped in %d s\n' $total_passed $total_failed $total_skipped $SECONDS
    [ $total_failed -eq 0 ]
}
