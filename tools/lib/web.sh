# Builds the npm package and the page. Sourced after common.sh and build.sh.

# npm_install FOLDER: what its package-lock.json names, exactly, unless it is there already. npm asks the registry that it is
# configured with. No package's own scripts are run.
npm_install() {
    local folder=$1 stamp=$1/node_modules/.linnet-lock
    cmp -s "$folder/package-lock.json" "$stamp" && return 0
    mkdir -p "$LINNET_ROOT/build"
    # npm runs under the Node that it came with: Debian's npm knows no other.
    (cd "$folder" && quietly "$LINNET_ROOT/build/npm.log" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || return 1
    cp "$folder/package-lock.json" "$stamp"
}

# The Node that builds and tests: 22 or newer.
web_node() { "$LINNET_ROOT/tools/emscripten.sh" --node; }

# build_package: wasm/package/dist, from modules that wasm/build.sh has built.
build_package() {
    local node
    node=$(web_node) && npm_install "$LINNET_ROOT/wasm/package" || return 1
    (cd "$LINNET_ROOT/wasm/package" && quietly "$LINNET_ROOT/build/package.log" "$node" build.mjs)
}

# build_page: build/web_demo, from the built package.
build_page() {
    local node
    node=$(web_node) && npm_install "$LINNET_ROOT/web_demo" || return 1
    (cd "$LINNET_ROOT/web_demo" && quietly "$LINNET_ROOT/build/page.log" "$node" node_modules/vite/bin/vite.js build)
}
