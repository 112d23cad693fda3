"""Pauses grow, stay bounded, and differ between clients where they must."""

import pytest

from datapath_probe.backoff import Backoff
from datapath_probe.kube.backoff import FIRST_S, LONGEST_S, api_server_backoff


def test_pauses_double_up_to_the_limit() -> None:
    backoff = Backoff(0.5, 10.0)
    assert [backoff.failed() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_success_starts_a_new_series() -> None:
    backoff = Backoff(0.5, 10.0)
    for _ in range(4):
        backoff.failed()
    backoff.succeeded()
    assert [backoff.failed(), backoff.failed()] == [0.5, 1]


def test_the_kind_of_failure_sets_the_limit() -> None:
    backoff = Backoff(4.0, 5.0)
    assert [backoff.failed(60.0) for _ in range(5)] == [4, 8, 16, 32, 60]
    assert [backoff.failed(), backoff.failed(60.0)] == [5, 10]


@pytest.mark.parametrize("jitter", [0.1, 0.5, 1.0])
def test_jitter_shortens_a_pause_and_does_not_stop_the_growth(jitter: float) -> None:
    backoff = Backoff(1.0, 8.0, jitter=jitter)
    for limit_s in (1, 2, 4, *[8] * 50):
        assert limit_s * (1 - jitter) <= backoff.failed() <= limit_s


def test_clients_of_the_api_server_do_not_return_at_once() -> None:
    pauses_s = {api_server_backoff().failed() for _ in range(50)}
    assert len(pauses_s) > 1
    assert all(FIRST_S / 2 <= pause_s <= FIRST_S for pause_s in pauses_s)
    backoff = api_server_backoff()
    assert all(backoff.failed() <= LONGEST_S for _ in range(2000))
