# Builds the linnet command, and finds one that is built. Sourced after common.sh.

# The command that the scripts use: $LINNET when it names one, else the newest build of this checkout.
find_linnet() {
    if [ -n "${LINNET:-}" ]; then
        [ -x "$LINNET" ] || fail "the environment variable LINNET names $LINNET, which is not a program."
        printf '%s\n' "$LINNET"
        return
    fi
    local newest='' candidate
    for candidate in "$LINNET_ROOT/build/native/linnet" "$LINNET_ROOT/build/gcc/linnet"; do
        if [ -x "$candidate" ] && { [ -z "$newest" ] || [ "$candidate" -nt "$newest" ]; }; then newest=$candidate; fi
    done
    [ -n "$newest" ] && printf '%s\n' "$newest"
}

# Runs a long command with its output in a file, and shows the file's end only when it fails.
quietly() {
    local log=$1 code=0
    shift
    "$@" >"$log" 2>&1 </dev/null || code=$?
    if [ $code -ne 0 ]; then
        say "--- the end of $log:"
        grep -E 'error|Error|FAILED|warning:' "$log" | head -n 20 >&2 || true
        tail -n 20 "$log" >&2
        say "---"
    fi
    return $code
}

# build_preset PRESET [TARGET...]: configures (again when the preset has changed) and builds. LINNET_BUILD_NICENESS (0 to 19) lets other
# work go before it.
build_preset() {
    local preset=$1 directory="$LINNET_ROOT/build/$1" target=()
    shift
    [ $# -eq 0 ] || target=(--target "$@")
    mkdir -p "$directory"
    # A build folder that was configured elsewhere (a moved or copied checkout) cannot be used again.
    if [ -f "$directory/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$LINNET_ROOT" "$directory/CMakeCache.txt"; then
        rm -rf "$directory"
        mkdir -p "$directory"
    fi
    (
        cd "$LINNET_ROOT" || exit 1
        quietly "$directory/configure.log" cmake --preset "$preset" ${CMAKE_ARGUMENTS[@]+"${CMAKE_ARGUMENTS[@]}"} &&
            quietly "$directory/build.log" nice -n "${LINNET_BUILD_NICENESS:-0}" \
                cmake --build "$directory" -j "$(cpu_count)" ${target[@]+"${target[@]}"}
    )
}

# Installs what is missing and builds the command, with clang-19 where it can be had, else with g++. Prints its path.
# The compiler is whichever the checkout was built with last, when both are there.
build_linnet() {
    local preset=native
    if ! "$LINNET_ROOT/tools/install.sh" build; then
        say "Going on with g++ in the place of clang-19."
        "$LINNET_ROOT/tools/install.sh" gcc || fail "Linnet cannot be built here: neither clang-19 nor g++ with the libraries can be had."
        preset=gcc
    fi
    [ -x "$LINNET_ROOT/build/$preset/linnet" ] || say "Building Linnet (the first time takes a minute or two) ..."
    CMAKE_ARGUMENTS=(-DLINNET_TESTS=OFF)
    # A checkout in which the tests are built already keeps them: no second configuration, nothing built twice.
    grep -qs '^LINNET_TESTS:BOOL=ON' "$LINNET_ROOT/build/$preset/CMakeCache.txt" && CMAKE_ARGUMENTS=()
    build_preset "$preset" linnet || fail "the build failed; build/$preset/build.log and configure.log have all of it."
    CMAKE_ARGUMENTS=()
    printf '%s\n' "$LINNET_ROOT/build/$preset/linnet"
}
