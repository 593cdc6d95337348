# Sourced by the scripts that need the service itself, after common.sh: starts it on a free port
# with a data directory of its own, and stops it when the script ends, however that is.

scratch=$(mktemp -d)
# If this runs as root, PostgreSQL does not, and must be able to enter this directory.
chmod 755 "$scratch"
service_pid=
service_url=

free_port() {
    python3 -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# Waits up to $2 seconds for http://127.0.0.1:$1/livez, while the service runs.
wait_until_live() {
    python3 - "$1" "$2" "$service_pid" <<'PYTHON'
import os
import sys
import time
import urllib.error
import urllib.request

port, seconds, pid = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
deadline = time.monotonic() + seconds
# The service is on this host: no proxy stands between.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
while time.monotonic() < deadline:
    try:
        opener.open(f"http://127.0.0.1:{port}/livez", timeout=2)
        sys.exit()
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        sys.exit("the service ended before it was up")
sys.exit(f"the service was not up after {seconds:.0f} seconds")
PYTHON
}

# Starts the service with the settings given as NAME=value; sets service_url.
start_service() {
    local port
    [ -x "$root/.venv/bin/flask" ] || fail "The virtual environment is missing: run 'make install'."
    port=$(free_port)
    # In the background of a script, setsid makes the service the leader of a group of its own.
    # A database or key of the caller's environment must not be touched by a test.
    cd "$root"
    setsid env -u DATABASE_URL -u DATABASE_URL_DIRECT -u JWT_SECRET_KEY FLASK_SKIP_DOTENV=1 \
        HOST=127.0.0.1 PORT="$port" TASKAPI_DATA_DIR="$scratch/data" RATELIMIT_ENABLED=false "$@" \
        "$root/.venv/bin/flask" serve >"$scratch/service.log" 2>&1 &
    service_pid=$!
    wait_until_live "$port" 90 || fail "The service could not be started."
    service_url=http://127.0.0.1:$port
}

# Ends the service as an operator would; kills what is left of its group after 20 seconds.
stop_service() {
    [ -n "$service_pid" ] || return 0
    kill -TERM "$service_pid" 2>/dev/null || true
    timeout 20 tail --pid="$service_pid" -f /dev/null || true
    if kill -KILL -- "-$service_pid" 2>/dev/null; then
        echo "The service did not end in time, or left processes behind: they were killed." >&2
        service_pid=
        return 1
    fi
    service_pid=
}

finish() {
    local status=$?
    trap - EXIT
    stop_service || status=1
    if [ "$status" -ne 0 ] && [ -s "$scratch/service.log" ]; then
        echo "--- the end of the service's log ---" >&2
        tail -n 40 "$scratch/service.log" >&2
    fi
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
