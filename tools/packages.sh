# Sourced by the scripts that need programs from the system's packages.

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

is_root_on_debian() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# Installs what is missing of PROGRAM=PACKAGE ...; a program may be a path, with * for a version.
install_missing() {
    local wanted program missing=() log
    for wanted in "$@"; do
        program=${wanted%%=*}
        compgen -G "$program" >/dev/null || command -v "$program" >/dev/null ||
            missing+=("${wanted#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    is_root_on_debian || fail "Install first: sudo apt-get install ${missing[*]}"
    echo "Installing ${missing[*]} with apt-get..." >&2
    log=$(mktemp)
    # Where services are started at their installation, these are to be left alone.
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        fail "apt-get could not install ${missing[*]}."
    fi
    rm -f "$log"
}

# Debian puts programs of services where only root looks.
PATH=$PATH:/usr/sbin
export PATH
