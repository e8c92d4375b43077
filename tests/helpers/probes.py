"""What a running worker says of itself: probes and metrics."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from helpers.kafka import wait_until

Samples = dict[tuple[str, ...], float]
"""A metric's values by the values of its labels."""


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and body of a page of the worker; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def is_ready(port: int) -> bool:
    """Tell what /readyz says."""
    return get(port, "/readyz")[0] == 200


def wait_ready(port: int) -> None:
    """Return when the worker is ready."""
    wait_until(lambda: is_ready(port), 60, "/readyz")


def samples(port: int, name: str) -> Samples:
    """Scrape one metric; empty when nobody answers."""
    return metrics(port).get(name, {})


def metrics(port: int) -> dict[str, Samples]:
    """Scrape all metrics at one moment; empty when nobody answers."""
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(get(port, "/metrics")[1]):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found
