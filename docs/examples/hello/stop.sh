#!/bin/sh
# stop.sh: stops the server that activate.sh started, and waits until it is gone.
set -eu
cd "$(dirname "$0")"
[ -s run/server.pid ] || exit 0
pid=$(cat run/server.pid)

# The pid may belong to somebody else by now: only a program named `server` is ours.
running() {
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
        */bin/server | */bin/server' (deleted)') return 0 ;;
        *) return 1 ;;
    esac
}

if running; then
    kill "$pid"
    tries=0
    while running; do
        tries=$((tries + 1))
        if [ "$tries" -gt 50 ]; then
            echo "server $pid did not stop" >&2
            exit 1
        fi
        sleep 0.1
    done
fi
rm -f run/server.pid
