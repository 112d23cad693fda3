"""Expressions that several dashboards use."""

VERDICTS = {"1": "Healthy", "2": "Degraded", "3": "Broken", "4": "Unknown"}
OUTAGE = "datapath_probe_outage_start_timestamp_seconds"


def verdict_number(labels: str) -> str:
    """The verdict of each probe as a number of `VERDICTS`."""
    each = " or ".join(
        f'{number} * datapath_probe_verdict{{{labels},verdict="{verdict}"}}'
        for number, verdict in VERDICTS.items()
    )
    return f"sum by (namespace, probe) ({each})"


def quantile(share: float, histogram: str, labels: str = "") -> str:
    """This quantile of a histogram, over all series with these labels."""
    return (
        f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket{{{labels}}}[$__rate_interval])))"
    )
