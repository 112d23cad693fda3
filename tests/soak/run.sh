#!/bin/bash
# `make soak`: on its own lab, which is removed afterwards; one run at a time per lab.
# SOAK_KEEP=1 keeps the lab for the next run. LAB_NAME (default soak) names it. usage: run.sh PYTHON
set -euo pipefail
export LAB_NAME=${LAB_NAME:-soak} PYTHONPATH=tests

if ! reason=$("$1" -m lab possible); then
    echo "the soak test needs the lab, which cannot run here: $reason"
    exit 1
fi
exec 9>"/run/lock/datapath-probe-soak-$LAB_NAME.lock"
flock --nonblock 9 || { echo "· waiting for another soak test to end" && flock 9; }
[ -n "${SOAK_KEEP:-}" ] || trap '"$1" -m lab down' EXIT
"$1" -m lab up
"$1" -m soak
