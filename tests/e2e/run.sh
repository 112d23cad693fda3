#!/bin/bash
# `make e2e`: the e2e tests on a new lab of their own, which is removed in the end; one such run at a time on a machine.
# That the lab comes up and leaves nothing behind are the first and the last of the tests, unless others are asked for.
# With LAB_KEEP=1 they run on the lab that is up, which stays. usage: run.sh FOLDER-OF-PROGRAMS [TESTS]
set -euo pipefail
programs=$1
tests=${2:-tests/e2e}
lock=/run/lock/datapath-probe-e2e.lock
lab_tests=tests/lab/tests/test_up_and_down.py

lab() { PYTHONPATH=tests "$programs/python" -m lab "$@"; }
# A cluster under way, on a machine that others may use, has its hiccups: what fails is tried once more, and pytest says so.
e2e() { "$programs/pytest" -v -p no:randomly --reruns 1 -r R "$@"; }
with_lab_tests() { e2e "$lab_tests::test_it_comes_up_once" "$tests" "$lab_tests::test_down_leaves_nothing_behind"; }

if ! lab possible; then
    with_lab_tests # every test is skipped, and says why
elif [ -n "${LAB_KEEP:-}" ]; then
    lab status || lab up
    e2e "$tests"
else
    export LAB_NAME=e2e
    exec 9>"$lock"
    flock --nonblock 9 || { echo "· waiting for another run of the e2e tests to end" && flock 9; }
    trap 'lab down' EXIT
    if [ "$tests" = tests/e2e ]; then
        with_lab_tests
    else
        lab up --fresh
        e2e "$tests"
    fi
fi
