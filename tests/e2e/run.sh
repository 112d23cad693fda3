#!/bin/bash
# `make e2e`: the e2e tests on a new lab of their own, which is removed in the end; one such run at a time on a machine.
# With LAB_KEEP=1 they run on the lab that is up, which stays. usage: run.sh FOLDER-OF-PROGRAMS [TESTS]
set -euo pipefail
programs=$1
tests=${2:-tests/e2e}
lock=/run/lock/datapath-probe-e2e.lock

lab() { PYTHONPATH=tests "$programs/python" -m lab "$@"; }
# A cluster under way, on a machine that others may use, has its hiccups: what fails is tried once more, and pytest says so.
e2e() { "$programs/pytest" -v -p no:randomly --reruns 1 -r R "$tests"; }

if ! lab possible; then
    e2e # every test is skipped, and says why
elif [ -n "${LAB_KEEP:-}" ]; then
    lab status || lab up
    e2e
else
    export LAB_NAME=e2e
    exec 9>"$lock"
    flock --nonblock 9 || { echo "· waiting for another run of the e2e tests to end" && flock 9; }
    trap 'lab down' EXIT
    lab up --fresh
    e2e
fi
