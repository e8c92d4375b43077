"""Every detector against its own positive, negative and boundary examples."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streams.cloudtrail.record import Activity
from streams.detection.anomaly import Anomaly
from streams.detection.registry import DETECTORS
from streams.detection.watch import Watch, WatchConfig

WINDOW_MS = 300_000
DAY = 288
START = 1_767_571_200_000 // WINDOW_MS
USUAL = {
    "account_id": "111122223333",
    "region": "us-east-1",
    "event_source": "ec2.amazonaws.com",
    "event_name": "DescribeInstances",
    "event_category": "Management",
    "initiator": "direct",
    "caller_account_id": "111122223333",
    "principal": "arn:aws:iam::111122223333:role/example",
    "error_code": "",
}
DOCUMENTS = [yaml.safe_load(path.read_text()) for path in Path(__file__).parent.glob("*.yaml")]


def test_every_detector_has_examples_of_each_kind() -> None:
    kinds = {
        document["detector"]: {example["name"].split(",")[0] for example in document["examples"]}
        for document in DOCUMENTS
    }
    assert kinds == {detector.name: {"positive", "negative", "boundary"} for detector in DETECTORS}


@pytest.mark.parametrize(
    ("detector", "example"),
    [
        pytest.param(document["detector"], example, id=f"{document['detector']}: {example['name']}")
        for document in DOCUMENTS
        for example in document["examples"]
    ],
)
def test_example(detector: str, example: dict[str, Any]) -> None:
    baseline = list(_baseline(example))
    found = _last_states(
        Activity(**(USUAL | example.get("activity", {}))), baseline + example["then"]
    )
    first = START + len(baseline)
    told = [
        {
            "level": one.level,
            "opens": one.window_start_ms // WINDOW_MS - first,
            "state": one.state,
        }
        for one in found
        if one.type == detector and not one.suppressed
    ]
    assert example["finds"] == told


def _baseline(example: dict[str, Any]) -> Iterator[int]:
    windows = example.get("baseline_windows", example.get("baseline_days", 0) * DAY)
    every = example.get("baseline_every", 1)
    calls = islice(cycle(example.get("baseline", [0])), windows)
    return (count if at % every == 0 else 0 for at, count in enumerate(calls))


def _last_states(activity: Activity, counts: list[int]) -> list[Anomaly]:
    watch = Watch(WatchConfig(app="example", window_ms=WINDOW_MS, threshold=6.0, max_series=100))
    indices = np.array(watch.resolve(activity))
    indices = indices[indices >= 0]
    last: dict[str, Anomaly] = {}
    for at, count in enumerate(counts):
        calls = np.full(len(indices), count)
        closing = watch.close(
            (START + at) * WINDOW_MS, indices, calls, calls * 0, lambda _, c=count: [(activity, c)]
        )
        for _ in closing:
            pass
        last.update((one.anomaly_id, one) for one in watch.take_emitted())
    return list(last.values())
