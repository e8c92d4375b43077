"""What the benchmarks feed the engines is what the product reads."""

from benchmarks.engine import inputs
from streams.codecs import Codecs


def test_the_input_of_the_engine_benchmark_is_records_of_ours() -> None:
    given = inputs.Input(name="usual", principals=3, event_names=2, records=20)
    codecs = Codecs()
    events = []
    for key, value, _ in inputs._messages(given):
        record = codecs.decode_trail_record(value)
        assert record.activity == codecs.decode_activity_key(key)
        if record.origin.object:
            assert record.dedup_id.hex() == record.event_id.replace("-", "")
            assert record.event_id.encode() in record.raw
            events.append((record.dedup_id, record.event_time_ms))
    assert len(set(events)) == 20
    assert sorted(time for _, time in events) == sorted(given.events[1].tolist())
