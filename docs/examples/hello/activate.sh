#!/bin/sh
# activate.sh PORT: makes what `deploy/current` names the running server. Run after every switch, back or forth.
set -eu
cd "$(dirname "$0")"
./stop.sh
if [ ! -e deploy/current ]; then
    echo "nothing is deployed; the server stays down"
    exit 0
fi
mkdir -p run
deploy/current/server/bin/server deploy/current/site/public "$1" run/server.pid
echo "server $(cat run/server.pid) listens on 127.0.0.1:$1"
