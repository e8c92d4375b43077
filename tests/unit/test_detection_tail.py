"""The negative binomial's tail against slow, obvious sums."""

import math

import numpy as np
import pytest

from streams.detection.tail import log10_tail, log_gamma


def _exact_log10_tail(y: int, mean: float, dispersion: float) -> float:
    size, q = 1 / dispersion, mean / (1 / dispersion + mean)
    logs = [
        math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
        + size * math.log(1 - q) + k * math.log(q)
        for k in range(y, y + 20_000)
    ]  # fmt: skip
    largest = max(logs)
    return (largest + math.log(sum(math.exp(one - largest) for one in logs))) / math.log(10)


def test_log_gamma_agrees_with_the_standard_library() -> None:
    z = np.geomspace(1e-3, 1e6, 400)
    expected = np.array([math.lgamma(one) for one in z])
    np.testing.assert_allclose(log_gamma(z), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dispersion", [0.002, 0.05, 0.2, 1.0])
@pytest.mark.parametrize(("y", "mean"), [(1, 0.01), (12, 3.0), (60, 20.0), (500, 100.0)])
def test_the_tail_agrees_with_the_sum_of_its_terms(y: int, mean: float, dispersion: float) -> None:
    found = log10_tail(np.array([float(y)]), np.array([mean]), np.array([dispersion]))[0]
    assert found == pytest.approx(min(_exact_log10_tail(y, mean, dispersion), -0.301), rel=0.03)


def test_nothing_at_or_below_the_mean_is_surprising() -> None:
    y, mean = np.array([0.0, 5.0, 20.0]), np.array([20.0, 20.0, 20.0])
    assert log10_tail(y, mean, np.full(3, 0.05)).tolist() == [-0.30103] * 3


def test_huge_counts_give_finite_numbers() -> None:
    found = log10_tail(np.array([1e9]), np.array([1e3]), np.array([0.002]))
    assert np.isfinite(found).all()
    assert found[0] < -1000
