from streams.counting.watermark import (
    DEAD_AFTER_MS,
    LONGEST_STEP_MS,
    SourceProgress,
    Watermark,
)

HALF_MINUTE = 30_000


def test_the_slower_of_two_live_instances_decides() -> None:
    watermark = Watermark()
    watermark.observe("a", 1_000, 0)
    assert watermark.observe("b", 500, 0) == 1_000  # it never goes back
    assert watermark.observe("a", 9_000, 0) == 1_000
    assert watermark.observe("b", 3_000, 0) == 3_000


def test_an_instance_does_not_take_back_its_word() -> None:
    watermark = Watermark()
    watermark.observe("b", 0, 0)
    watermark.observe("a", 1_000, 0)
    watermark.observe("a", 200, 0)
    assert watermark.observe("b", 5_000, 0) == 1_000


def test_an_instance_silent_for_five_minutes_of_others_progress_is_dead() -> None:
    watermark = Watermark()
    watermark.observe("silent", 100, 0)
    steps = DEAD_AFTER_MS // HALF_MINUTE
    for step in range(1, steps):
        assert watermark.observe("alive", 1_000 + step, step * HALF_MINUTE) == 100
    assert watermark.observe("alive", 2_000, DEAD_AFTER_MS) == 2_000


def test_a_pause_of_all_sources_kills_none() -> None:
    watermark = Watermark()
    watermark.observe("a", 1_000, 0)
    watermark.observe("b", 500, 0)
    hour = 3_600_000
    assert watermark.observe("a", 2_000, hour) == 1_000
    assert watermark.observe("b", 600, hour + 1) == 1_000
    assert watermark.observe("b", 1_500, hour + 2) == 1_500


def test_append_times_that_go_back_do_not_move_the_clock() -> None:
    watermark = Watermark()
    watermark.observe("a", 1, 1_000_000)
    watermark.observe("a", 1, 0)
    watermark.observe("a", 1, 70_000)
    assert watermark.state().sources == {"a": SourceProgress(1, LONGEST_STEP_MS)}


def test_a_restored_watermark_goes_on_as_if_nothing_had_happened() -> None:
    log = [
        ("a", 10, 0),
        ("b", 5, 50_000),
        ("a", 20, 100_000),
        ("a", 30, 370_000),
        ("b", 7, 380_000),
    ]
    plain, restored = Watermark(), Watermark()
    for record in log:
        restored = Watermark(restored.state())
        assert plain.observe(*record) == restored.observe(*record)
    assert plain.state() == restored.state()
