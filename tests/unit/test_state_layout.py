import pytest

from streams.counting.watermark import SourceProgress, WatermarkState
from streams.errors import StateError
from streams.state import layout


def test_keys_are_a_type_byte_and_the_window_start_big_endian() -> None:
    assert bytes.fromhex("02 0000018bcfe56800") == layout.row_prefix(1_700_000_000_000)
    assert bytes.fromhex("03 0000018bcfe56800 00000007") == layout.block_key(1_700_000_000_000, 7)
    assert layout.META_KEY == b"\x01"


def test_a_block_key_says_its_window_and_number() -> None:
    assert layout.split_block_key(layout.block_key(-300_000, 7)) == (-300_000, 7)
    with pytest.raises(StateError, match="dedup block"):
        layout.split_block_key(b"\x03short")


@pytest.mark.parametrize(
    "state",
    [
        WatermarkState(sources={}),
        WatermarkState(
            watermark_ms=0,
            clock_ms=61,
            last_append_ms=-1,
            sources={"exämple": SourceProgress(5, 6), "b": SourceProgress(-7, 8)},
        ),
    ],
)
@pytest.mark.parametrize("purge_line_ms", [None, 0, 1_700_000_000_000])
def test_meta_survives_the_changelog(state: WatermarkState, purge_line_ms: int | None) -> None:
    encoded = layout.encode_meta(state, purge_line_ms)
    assert (state, purge_line_ms) == layout.decode_meta(encoded)


def test_cut_meta_is_refused_in_one_line() -> None:
    encoded = layout.encode_meta(WatermarkState(sources={"a": SourceProgress(1, 2)}), None)
    for size in (0, 10, len(encoded) - 5, len(encoded) - 1):
        with pytest.raises(StateError, match="meta row is damaged"):
            layout.decode_meta(encoded[:size])
