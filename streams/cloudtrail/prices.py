"""What CloudTrail charges for delivering one event, as dated data.

Source: AWS CloudTrail pricing, and the price list `AWSCloudTrail` of 2025-07-01: usage types
`DataEventsRecorded`, `NetworkEventsRecorded`, `PaidEventsRecorded`; equal in every commercial
Region there. A category's price is what one copy of one event costs the account whose trail logs
it; storage and what the called service charges itself come on top.
"""

from typing import Final, NamedTuple


class Price(NamedTuple):
    """Price of one delivered event of a category."""

    event_category: str
    dollars_per_event: float
    """US dollars."""
    free_copies: int
    """Copies of the same event, one a trail, that cost nothing."""
    as_of: str
    """Date on which the price was read, `YYYY-MM-DD`."""


PRICES: Final[tuple[Price, ...]] = (
    Price("Management", 2.00 / 100_000, 1, "2025-07-01"),
    Price("Data", 0.10 / 100_000, 0, "2025-07-01"),
    Price("NetworkActivity", 0.10 / 100_000, 0, "2025-07-01"),
)
_BY_CATEGORY: Final = {price.event_category: price for price in PRICES}


def dollars_per_event(event_category: str, *, trails: int = 1) -> float:
    """Return what one event costs in US dollars when this many trails deliver it.

    Assumes one trail, whose copy of a management event is the free one. Insights, aggregated
    summaries and unknown categories are 0: they are not charged per event, or not known to be.
    """
    price = _BY_CATEGORY.get(event_category)
    if price is None:
        return 0.0
    return price.dollars_per_event * max(0, trails - price.free_copies)
