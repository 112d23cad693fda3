"""How long to wait before trying again. Called by whatever in `kube` goes on until the API server answers."""

import random

FIRST_S, LONGEST_S = 0.25, 4.0


def pause_s(failures: int) -> float:
    """The pause after so many failures in a row (≥ 1): doubled each time up to 4 s, then shortened at random
    by up to a half, so that not everybody comes back at once.
    """
    longest = min(LONGEST_S, FIRST_S * 2 ** min(failures - 1, 8))
    return random.uniform(longest / 2, longest)  # noqa: S311 (no secret depends on it)
