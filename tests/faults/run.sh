#!/bin/bash
# `make faults`: the fault bench on its own lab, which is removed afterwards; one run at a time per lab.
# FAULTS_KEEP=1 keeps the lab for the next run. LAB_NAME (default faults) names it. usage: run.sh PYTHON
set -euo pipefail
export LAB_NAME=${LAB_NAME:-faults} PYTHONPATH=tests

if ! reason=$("$1" -m lab possible); then
    echo "the fault bench needs the lab, which cannot run here: $reason"
    exit 1
fi
exec 9>"/run/lock/datapath-probe-faults-$LAB_NAME.lock"
flock --nonblock 9 || { echo "· waiting for another run of the fault bench to end" && flock 9; }
[ -n "${FAULTS_KEEP:-}" ] || trap '"$1" -m lab down' EXIT
"$1" -m faults
