"""An anomaly in one sentence, for people."""

from datetime import UTC, datetime

from streams.detection.anomaly import Level, Series, State

_WHO = {
    "internal": "AWS itself (internal)",
    "service": "an AWS service",
    "console": "someone in the console",
    "direct": "direct calls",
}


def sentence(  # noqa: PLR0913 - everything it says
    series: Series,
    state: State,
    *,
    observed: float,
    usual: float,
    limit: float | None,
    start_ms: int,
    end_ms: int,
) -> str:
    """Say what was seen, against what and since when; rates are calls a minute.

    `limit` is the fixed limit that was passed, None where the series' own baseline was the
    measure; the end is the end of the anomaly, and said only once it is over.
    """
    rate = f"{_number(observed)} calls a minute"
    if limit is not None:
        against = f", over the fixed limit of {_number(limit)}"
    elif usual > 0:
        against = f", {_number(observed / usual)}x the usual {_number(usual)}"
    else:
        against = ""
    said = f"{series.event_name} in {series.account_id}/{series.region}{_caller(series)}: {rate}"
    when = {
        State.START: f" (since {_clock(start_ms)} UTC)",
        State.END: f" ({_clock(start_ms)} to {_clock(end_ms)} UTC; over)",
        State.RETRACTED: f" ({_clock(start_ms)} UTC; retracted)",
    }[state]
    return said + against + when


def _caller(series: Series) -> str:
    if series.level is Level.EVENT:
        return ""
    who = _WHO.get(series.initiator, series.initiator)
    if series.level is Level.PRINCIPAL and series.principal:
        who = f"{series.principal}, {who}"
    if series.caller_account_id not in ("", series.account_id):
        who += f" of account {series.caller_account_id}"
    return f" by {who}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}".removesuffix(".0")


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M")
