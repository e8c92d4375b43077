import pytest

from streams.cloudtrail.prices import PRICES, dollars_per_event


@pytest.mark.parametrize(
    ("category", "trails", "dollars_per_100_000"),
    [
        ("Management", 1, 0.0),
        ("Management", 2, 2.0),
        ("Management", 3, 4.0),
        ("Management", 0, 0.0),
        ("Data", 1, 0.1),
        ("Data", 2, 0.2),
        ("NetworkActivity", 1, 0.1),
        ("Insight", 1, 0.0),
        ("SomethingNew", 1, 0.0),
    ],
)
def test_price_of_an_event(category: str, trails: int, dollars_per_100_000: float) -> None:
    price = dollars_per_event(category, trails=trails)

    assert dollars_per_100_000 == pytest.approx(price * 100_000)


def test_each_price_has_its_date() -> None:
    assert all(len(price.as_of) == len("2025-07-01") for price in PRICES)
