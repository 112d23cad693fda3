#!/bin/bash
# `make soak`: on a lab of its own, which is removed in the end; one such run at a time for each lab.
# SOAK_KEEP=1 keeps the lab for the next run. LAB_NAME (default soak) names it. usage: run.sh PYTHON
set -euo pipefail
export LAB_NAME=${LAB_NAME:-soak} PYTHONPATH=tests

if ! reason=$("$1" -m lab possible); then
    echo "the soak needs the lab, which can't run here: $reason"
    exit 1
fi
exec 9>"/run/lock/datapath-probe-soak-$LAB_NAME.lock"
flock --nonblock 9 || { echo "· waiting for another soak to end" && flock 9; }
[ -n "${SOAK_KEEP:-}" ] || trap '"$1" -m lab down' EXIT
"$1" -m lab up
"$1" -m soak
