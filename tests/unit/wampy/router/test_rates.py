from __future__ import annotations

from wampy.router.rates import Rates


def test_a_rate_is_that_of_the_last_interval() -> None:
    rates = Rates(10.0, 0, 0)
    assert rates.per_s == (0.0, 0.0)
    rates.take(10.5, 100, 7)
    assert rates.per_s == (0.0, 0.0)
    rates.take(12.0, 300, 8)
    assert rates.per_s == (150.0, 4.0)
    rates.take(13.0, 300, 8)
    assert rates.per_s == (0.0, 0.0)
