"""What the synthetic traffic promises: shape, time, order, labels."""

import re
from collections import Counter
from datetime import datetime
from functools import cache
from itertools import pairwise
from uuid import UUID

import msgspec
import numpy as np
import pytest

from streams.cloudtrail.parse import parse
from streams.cloudtrail.record import Activity, Origin, TrailRecord
from streams.errors import ConfigurationError
from streams.synthetic.apis import catalogue
from streams.synthetic.habits import STEP_MS, Habit, Rates, Rhythm
from streams.synthetic.render import VARIANTS, render
from streams.synthetic.scenarios import (
    DEFAULT_START_MS,
    DEMO_MS,
    HOUR_MS,
    Kind,
    Scenario,
    names,
    scenario,
)
from streams.synthetic.traffic import MAX_DELAY_MS, MIN_DELAY_MS, Batch, Event, Traffic

# Monday 09:00, when people work, hourly jobs run and services never rest.
BUSY_MS = DEFAULT_START_MS + 9 * HOUR_MS


@cache
def demo() -> Scenario:
    return scenario("demo", 1)


@cache
def busy_hour() -> tuple[Event, ...]:
    traffic = Traffic(demo())
    steps = range(BUSY_MS, BUSY_MS + HOUR_MS, STEP_MS)
    return tuple(event for step_ms in steps for event in traffic.events(step_ms))


@cache
def deliveries() -> tuple[Batch, ...]:
    return tuple(Traffic(demo()).batches(BUSY_MS))


def event_time_ms(record: bytes) -> int:
    return int(datetime.fromisoformat(msgspec.json.decode(record)["eventTime"]).timestamp()) * 1000


def intended(habit: Habit, *, failed: bool) -> Activity:
    return Activity(
        account_id=habit.account_id,
        region=habit.region,
        event_source=habit.api.event_source,
        event_name=habit.api.event_name,
        event_category=habit.api.category,
        initiator=habit.caller.initiator,
        caller_account_id=habit.caller.account_id,
        principal=habit.caller.principal,
        error_code=habit.api.error[0] if failed else "",
    )


def test_every_record_parses_to_the_activity_that_was_meant() -> None:
    for event in busy_hour():
        parsed = parse(event.record, Origin("example.json.gz", 0), published_ms=BUSY_MS + HOUR_MS)
        assert isinstance(parsed, TrailRecord)
        habit = demo().habits[event.habit]
        assert intended(habit, failed=event.failed) == parsed.activity
        assert event.time_ms == parsed.event_time_ms


def test_every_habit_of_both_scenarios_parses_to_what_it_means() -> None:
    """Also those which a single hour does not show, successful and failed."""
    for habit in (*demo().habits, *scenario("organisation", 2).habits):
        for failed in (False, True):
            text = render(7, habit, VARIANTS - 1, 0, failed=failed)
            record = text % (b"2026-01-05T00:00:00Z", b"request", b"event")
            parsed = parse(record, Origin("example", 0), published_ms=DEFAULT_START_MS)
            assert isinstance(parsed, TrailRecord)
            assert intended(habit, failed=failed) == parsed.activity


def test_all_kinds_of_initiator_and_identity_occur() -> None:
    callers = [demo().habits[event.habit].caller for event in busy_hour()]
    assert {"internal", "service", "console", "direct"} == {caller.initiator for caller in callers}
    assert {
        "AssumedRole",
        "AWSAccount",
        "AWSService",
        "IAMUser",
        "IdentityCenterUser",
        "SAMLUser",
        "WebIdentityUser",
    } == {caller.identity["type"] for caller in callers}


def test_internal_get_metric_data_is_marked_three_times_and_crosses_accounts() -> None:
    internal = [
        msgspec.json.decode(event.record)
        for event in busy_hour()
        if demo().habits[event.habit].caller.initiator == "internal"
    ]
    for record in internal:
        assert record["eventName"] == "GetMetricData"
        marks = (
            record["userIdentity"]["invokedBy"],
            record["sourceIPAddress"],
            record["userAgent"],
        )
        assert marks == ("AWS Internal",) * 3
    assert any(
        record["userIdentity"]["accountId"] != record["recipientAccountId"] for record in internal
    )


def test_records_have_the_members_and_the_size_of_real_ones() -> None:
    sizes = [len(event.record) for event in busy_hour()]
    assert 1_200 <= sum(sizes) / len(sizes) <= 1_550
    for event in busy_hour():
        record = msgspec.json.decode(event.record)
        assert record.keys() >= {
            "eventVersion",
            "userIdentity",
            "eventTime",
            "eventSource",
            "eventName",
            "awsRegion",
            "sourceIPAddress",
            "userAgent",
            "requestParameters",
            "responseElements",
            "requestID",
            "eventID",
            "readOnly",
            "eventType",
            "managementEvent",
            "recipientAccountId",
            "eventCategory",
        }
        assert UUID(record["eventID"]).version == 4
        assert b"<" not in event.record
        assert b"@" not in event.record.replace(b"@example.com", b"")


def test_reads_outnumber_writes_and_some_calls_fail() -> None:
    reads = [demo().habits[event.habit].api.read_only for event in busy_hour()]
    assert sum(reads) / len(reads) > 0.75
    assert 0 < sum(event.failed for event in busy_hour()) / len(busy_hour()) < 0.05


def test_event_ids_are_unique() -> None:
    ids = [
        msgspec.json.decode(record)["eventID"] for batch in deliveries() for record in batch.records
    ]
    assert len(set(ids)) == len(ids) > 10_000


def test_deliveries_come_in_the_order_of_their_stamps_on_full_minutes() -> None:
    stamps = [batch.stamp_ms for batch in deliveries()]
    assert sorted(stamps) == stamps
    assert all(stamp % 60_000 == 0 for stamp in stamps)


def test_records_of_a_delivery_are_of_its_account_and_region_and_not_sorted() -> None:
    unsorted = 0
    for batch in deliveries():
        records = [msgspec.json.decode(record) for record in batch.records]
        assert {(batch.account_id, batch.region)} == {
            (record["recipientAccountId"], record["awsRegion"]) for record in records
        }
        times = [record["eventTime"] for record in records]
        unsorted += times != sorted(times)
    assert unsorted > len(deliveries()) / 2


def test_delays_are_those_of_a_real_trail() -> None:
    """A real trail: at least 3 s, median 201 s, 99th percentile 505 s, at most 594 s."""
    delays = np.array(
        [
            batch.stamp_ms - event_time_ms(record)
            for batch in deliveries()
            for record in batch.records
        ]
    )
    # The first ten minutes' deliveries and the last ones are cut off by the ends of the traffic.
    assert delays.min() >= MIN_DELAY_MS
    assert delays.max() < MAX_DELAY_MS
    assert 180_000 <= np.median(delays) <= 225_000
    assert 470_000 <= np.percentile(delays, 99) <= 540_000


def test_every_event_is_delivered_once() -> None:
    short = scenario("organisation", 3, end_ms=DEFAULT_START_MS + HOUR_MS)
    traffic = Traffic(short)
    made = Counter(
        event.record
        for step_ms in range(short.start_ms, short.end_ms, STEP_MS)
        for event in traffic.events(step_ms)
    )
    assert made == Counter(record for batch in traffic.batches() for record in batch.records)


def test_duplicates_are_the_same_bytes_within_the_same_ten_minutes() -> None:
    end_ms = DEFAULT_START_MS + HOUR_MS
    once = scenario("organisation", 3, end_ms=end_ms)
    twice = scenario("organisation", 3, end_ms=end_ms, duplicate_share=0.5)
    single = Counter(record for batch in Traffic(once).batches() for record in batch.records)
    double = Counter(record for batch in Traffic(twice).batches() for record in batch.records)
    assert single.keys() == double.keys()
    assert {1, 2} == set(double.values())
    for batch in Traffic(twice).batches():
        for record in batch.records:
            assert batch.stamp_ms - event_time_ms(record) < MAX_DELAY_MS


def test_object_keys_are_those_of_s3_and_differ() -> None:
    keys = [batch.key for batch in deliveries()]
    assert len(set(keys)) == len(keys)
    pattern = (
        r"AWSLogs/(\d{12})/CloudTrail/([a-z0-9-]+)/\d{4}/\d\d/\d\d/"
        r"\1_CloudTrail_\2_\d{8}T\d{4}Z_[A-Z0-9]{16}\.json\.gz"
    )
    assert all(re.fullmatch(pattern, key) for key in keys)


def test_demo_has_the_anomalies_it_is_shown_with() -> None:
    labels = demo().injections
    expected = [label for label in labels if label.expected]
    assert len(expected) >= 4
    assert any(
        label.initiator == "internal" and label.event_name == "GetMetricData" for label in expected
    )
    assert any(label.factor == 3 for label in expected)
    assert any(label.factor == 10 and label.event_name == "DescribeInstances" for label in expected)
    ordinary = [label for label in labels if not label.expected]
    assert [(Kind.LEVEL_SHIFT, demo().end_ms)] == [(label.kind, label.end_ms) for label in ordinary]
    for before, after in pairwise(sorted(expected, key=lambda label: label.start_ms)):
        assert after.start_ms - before.end_ms >= HOUR_MS / 4


@pytest.mark.parametrize("name", names())
def test_each_injection_changes_one_steady_series_after_a_day_of_quiet(name: str) -> None:
    made = scenario(name, 5, end_ms=DEFAULT_START_MS + 72 * HOUR_MS)
    assert sum(label.expected for label in made.injections) >= (5 if name == "demo" else 12)
    for label in made.injections:
        (habit,) = [habit for habit in made.habits if label.changes(habit)]
        assert habit.rhythm is Rhythm.STEADY
        assert habit.rate >= 6
        assert label.start_ms >= made.start_ms + 36 * HOUR_MS
        assert label.start_ms < label.end_ms <= made.end_ms
        assert label.start_ms % STEP_MS == label.end_ms % STEP_MS == 0


def test_an_injection_multiplies_the_calls_of_its_series_while_it_lasts() -> None:
    traffic = Traffic(demo())

    def mean(index: int, start_ms: int) -> float:
        steps = [traffic.events(start_ms + number * STEP_MS) for number in range(5)]
        return sum(event.habit == index for step in steps for event in step) / len(steps)

    for label in demo().injections:
        (index,) = [n for n, habit in enumerate(demo().habits) if label.changes(habit)]
        rate = demo().habits[index].rate
        assert mean(index, label.start_ms) == pytest.approx(rate * label.factor, rel=0.25)
        assert mean(index, label.start_ms - 5 * STEP_MS) == pytest.approx(rate, rel=0.4)


def test_demo_is_small() -> None:
    per_step = sum(habit.rate for habit in demo().habits)
    assert 230_000 <= per_step * DEMO_MS / STEP_MS <= 400_000
    assert 200 <= len(demo().habits) <= 500


def test_events_per_day_scales_the_volume() -> None:
    made = scenario("organisation", 1, end_ms=DEFAULT_START_MS + HOUR_MS, events_per_day=480_000)
    count = sum(len(batch.records) for batch in Traffic(made).batches())
    assert 14_000 <= count <= 26_000


@pytest.mark.parametrize("rhythm", list(Rhythm))
def test_each_rhythm_keeps_its_mean_over_a_week(rhythm: Rhythm) -> None:
    habit = demo().habits[0]
    one = Habit(
        caller=habit.caller,
        api=habit.api,
        account_id=habit.account_id,
        region=habit.region,
        rate=20,
        rhythm=rhythm,
    )
    rates = Rates([one])
    first = DEFAULT_START_MS // STEP_MS
    week = range(first, first + 7 * 288)
    rng = np.random.default_rng(1)
    mean = np.mean([rates.draw(rng, step, np.ones(1))[0] for step in week])
    assert 17 <= mean <= 23


def test_people_work_by_day_and_rest_at_weekends() -> None:
    office = [habit for habit in demo().habits if habit.rhythm is Rhythm.OFFICE]
    rates = Rates(office)

    def calls(start_ms: int) -> int:
        rng, first = np.random.default_rng(1), start_ms // STEP_MS
        ones = np.ones(len(office))
        return sum(int(rates.draw(rng, step, ones).sum()) for step in range(first, first + 24))

    monday_noon, monday_night = DEFAULT_START_MS + 12 * HOUR_MS, DEFAULT_START_MS
    saturday_noon = monday_noon + 5 * 24 * HOUR_MS
    assert calls(monday_noon) > 5 * calls(monday_night)
    assert calls(monday_noon) > 5 * calls(saturday_noon)


def test_every_api_is_used_by_someone() -> None:
    used = {habit.api.event_name for habit in demo().habits}
    assert {api.event_name for api in catalogue().values()} == used


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "no such"}, "choose one of demo, organisation"),
        ({"end_ms": DEFAULT_START_MS}, "ends after it starts"),
        ({"end_ms": DEFAULT_START_MS + HOUR_MS, "name": "demo"}, "needs 60 h"),
        ({"end_ms": 2**42}, "between 1970 and 2038"),
        ({"duplicate_share": 1.5}, "share of duplicates"),
    ],
)
def test_wrong_use_is_refused_with_one_line(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"name": "organisation", "seed": 1, **change}
    with pytest.raises(ConfigurationError, match=message):
        scenario(**arguments)  # type: ignore[arg-type]
