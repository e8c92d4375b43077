"""The made-up traffic is the seed's, and holds what it is there for."""

from itertools import chain

from faults.traffic import DAY, WINDOW_MS, traffic


def test_a_seed_determines_the_traffic_to_the_last_record() -> None:
    assert traffic(7) == traffic(7)
    assert traffic(7) != traffic(8)


def test_there_are_repeats_late_and_early_events_silences_and_unreadable_records() -> None:
    steps = traffic(7)
    deliveries = list(chain.from_iterable(steps))
    records = [record for delivery in deliveries for record in delivery.records]
    distinct = {record.dedup_id for record in records}
    assert len(distinct) < len(records)
    assert any(
        record.event_time_ms + 16 * WINDOW_MS < delivery.up_to_ms
        for delivery in deliveries
        for record in delivery.records
    )
    assert any(
        record.event_time_ms >= delivery.up_to_ms + WINDOW_MS
        for delivery in deliveries
        for record in delivery.records
    )
    assert any(delivery.unreadable for delivery in deliveries)
    sources = [{delivery.source for delivery in step} for step in steps[DAY:]]
    assert {"a"} in sources
    assert sources[-1] == {"a", "b"}
