#!/bin/sh
# activate.sh: shows what is live; there is no server to restart.
set -eu
cd "$(dirname "$0")"
if [ ! -e deploy/current ]; then
    echo "nothing is deployed"
    exit 0
fi
deploy/current/report/bin/report --version
deploy/current/export/bin/export --version
