"""Queries that several dashboards use."""

from dashboards.panels import NUMBERS, Query

OUTAGE = "datapath_probe_outage_start_timestamp_seconds"


def verdict_number(labels: str) -> str:
    """The verdict of each probe as one of `NUMBERS`."""
    each = " or ".join(
        f'{number} * datapath_probe_verdict{{{labels},verdict="{verdict}"}}'
        for verdict, number in NUMBERS.items()
    )
    return f"sum by (namespace, probe) ({each})"


def quantiles(histogram: str, percents: tuple[int, ...] = (50, 99), labels: str = "") -> tuple[Query, ...]:
    """These quantiles of a histogram, over all series with these labels."""
    rates = f"sum by (le) (rate({histogram}_bucket{{{labels}}}[$__rate_interval]))"
    return tuple(
        Query(f"histogram_quantile({percent / 100}, {rates})", f"p{percent}") for percent in percents
    )
