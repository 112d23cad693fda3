#!/bin/bash
# `make faults`: the fault bench on a lab of its own, which is removed in the end; one such run at a time for each lab.
# FAULTS_KEEP=1 keeps the lab for the next run. LAB_NAME (default faults) names it. usage: run.sh PYTHON
set -euo pipefail
export LAB_NAME=${LAB_NAME:-faults} PYTHONPATH=tests

if ! reason=$("$1" -m lab possible); then
    echo "the fault bench needs the lab, which can't run here: $reason"
    exit 1
fi
exec 9>"/run/lock/datapath-probe-faults-$LAB_NAME.lock"
flock --nonblock 9 || { echo "· waiting for another run of the fault bench to end" && flock 9; }
[ -n "${FAULTS_KEEP:-}" ] || trap '"$1" -m lab down' EXIT
"$1" -m faults
