"""The operator's metrics, as Prometheus scrapes them. In: the text of /metrics. Out: samples by name and labels."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Metrics:
    """One scrape."""

    samples: tuple[tuple[str, Labels, float], ...]

    @classmethod
    def parse(cls, text: str) -> "Metrics":
        families = text_string_to_metric_families(text)
        return cls(tuple((s.name, s.labels, s.value) for family in families for s in family.samples))

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample with these labels (it may have others); None if there is none."""
        found = [
            value for sample, has, value in self.samples if sample == name and labels.items() <= has.items()
        ]
        assert len(found) <= 1, f"{name}{labels} is ambiguous: {found}"
        return found[0] if found else None

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels."""
        return sum(
            value for sample, has, value in self.samples if sample == name and labels.items() <= has.items()
        )

    def series_of(self, namespace: str, probe: str) -> list[tuple[str, Labels, float]]:
        """All samples of a probe."""
        wanted = {"namespace": namespace, "probe": probe}.items()
        return [sample for sample in self.samples if wanted <= sample[1].items()]
