"""What `scan` finds in files is what the stream finds: counts and definitive anomalies."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from helpers.kafka import Group, read_all
from helpers.workers import Workers, settings_environment

from streams.codecs import Codecs
from streams.detection.anomaly import Anomaly, State
from streams.scan import Scan
from streams.settings import Settings
from streams.topics import TopicNames, apply

DAYS = 3
EVENTS = 90_000
FEWEST_ANOMALIES = 10
# What may differ: how often a record was revised, and what was sampled while it was provisional.
NOT_COMPARED = {"revision", "evidence", "attributions", "sentence"}


def run(settings: Settings, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streams", *words],
        env=settings_environment(settings),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def comparable(anomalies: Mapping[str, Anomaly]) -> dict[str, dict[str, object]]:
    return {
        anomaly_id: {k: v for k, v in asdict(anomaly).items() if k not in NOT_COMPARED}
        for anomaly_id, anomaly in anomalies.items()
        if not anomaly.provisional and anomaly.state is not State.RETRACTED
    }


def test_scan_and_stream_agree_on_three_days(settings: Settings, tmp_path: Path) -> None:
    apply(settings)
    trail = str(tmp_path / "trail")
    run(settings, "generate", trail, "--days", str(DAYS), "--events", str(EVENTS), "--seed", "5")
    logs = str(Path(trail) / "AWSLogs")
    with Workers(settings, tmp_path) as workers:
        workers.start("a")
        workers.start("b")
        tally = json.loads(run(settings, "source", "files", logs, "--complete", "--json"))
        topic = TopicNames.of(settings)
        Group(settings, topic.records).wait_for_end()
    codecs = Codecs()
    counts, anomalies = {}, {}
    for message in read_all(settings, topic.counts):
        counts[codecs.decode_activity_window(message.key())] = codecs.decode_activity_count(
            message.value()
        )
    for message in read_all(settings, topic.anomalies):
        anomaly = codecs.decode_anomaly(message.value())
        anomalies[anomaly.anomaly_id] = anomaly
    findings = Scan(settings).run([logs])
    assert findings.counted == tally["published"] == sum(c.count for c in counts.values())
    assert counts == findings.counts
    found = comparable(findings.anomalies)
    told = [one for one in found.values() if not one["suppressed"]]
    assert len(told) >= FEWEST_ANOMALIES
    assert comparable(anomalies) == found
