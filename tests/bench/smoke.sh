#!/usr/bin/env bash
# smoke.sh WSLOAD SERVER… -- WSLOAD-ARGUMENTS…: starts the server on a free port, loads it for a
# moment and ends it. Fails when a delivery was lost, doubled or wrong; says nothing about speed.
# With WSLOAD_FAILS in the environment the generator must find fault with the server instead.
set -euo pipefail

wsload=$1
shift
server=()
while [[ $1 != -- ]]; do
    server+=("$1")
    shift
done
shift

scratch=$(mktemp -d)
pid=''
clean_up() {
    if [[ -n $pid ]]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" || true
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT

if [[ $* == *--tls* ]]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
        -keyout "$scratch/key.pem" -out "$scratch/cert.pem" 2>/dev/null
    server+=(--tls-cert "$scratch/cert.pem" --tls-key "$scratch/key.pem")
fi

# The log is a pipe: the line that tells the port is awaited, and not looked for again and again.
mkfifo "$scratch/log"
"${server[@]}" 2>"$scratch/log" &
pid=$!
exec 3<"$scratch/log"
port=''
while [[ -z $port ]] && read -r line <&3; do
    [[ $line =~ listening\ on\ wss?://127\.0\.0\.1:([0-9]+)/ ]] && port=${BASH_REMATCH[1]}
done
cat <&3 >&2 &
[[ -n $port ]]

status=0
line=$("$wsload" --port "$port" --server-pid "$pid" --warmup 0.1 "$@") || status=$?
echo "$line"
if [[ -n ${WSLOAD_FAILS-} ]]; then
    ((status == 1))
    exit
fi
((status == 0))
# What must hold for every run besides the exit status.
/usr/bin/python3 - "$line" "$@" <<'PYTHON'
import json
import sys

result, arguments = json.loads(sys.argv[1]), sys.argv[2:]
assert result["ok"], result
if result["mode"] == "load":
    assert result["deliveries"] > 0 and result["one_order"], result
    assert ("--deflate" in arguments) == (result["inflated"] > 0), result
if "--messages" in arguments:
    # Counted are deliveries, and messages are under way at both ends of the stretch.
    assert result["messages"] >= int(arguments[arguments.index("--messages") + 1]), result
PYTHON
