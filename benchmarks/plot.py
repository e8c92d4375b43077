"""One bar chart as SVG: events per CPU-second by engine, one panel an input."""

from collections.abc import Sequence
from html import escape

from benchmarks.results import Result

_WIDTH, _LEFT, _RIGHT, _TOP = 800, 230, 90, 26
_ROW, _BAR, _PANEL_GAP = 26, 17, 44
_OURS, _OTHERS, _TEXT = "#0b6e99", "#b3bac2", "#1f2933"

Speeds = dict[str, list[tuple[str, float]]]
"""Engine and speed, by input."""


def speeds(results: Sequence[Result]) -> Speeds:
    """Pick what is drawn out of all results, fastest first."""
    found: Speeds = {}
    for result in results:
        if (result.benchmark, result.measure) == ("engine", "events per CPU-second"):
            name, _, engine = result.case.partition(": ")
            if result.unit == "1/s" and result.value is not None and engine:
                found.setdefault(name, []).append((engine, result.value))
    return {name: sorted(bars, key=lambda bar: -bar[1]) for name, bars in found.items()}


def draw(panels: Speeds) -> str:
    """Return the picture."""
    top, parts = _TOP, []
    most = max(speed for bars in panels.values() for _, speed in bars)
    for name, bars in panels.items():
        parts.append(_label(16, top, f"{name}: events per CPU-second", 'font-weight="bold"'))
        for at, (engine, speed) in enumerate(bars):
            parts += _bar(top + 14 + at * _ROW, engine, speed, most)
        top += 14 + len(bars) * _ROW + _PANEL_GAP
    height = top - _PANEL_GAP + 16
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>'
    return "\n".join((frame, ground, *parts, "</svg>", ""))


def _bar(top: int, engine: str, speed: float, most: float) -> list[str]:
    width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * speed / most)
    color = _OURS if engine.startswith("worker") else _OTHERS
    middle = top + _BAR - 4
    return [
        _label(_LEFT - 10, middle, engine, 'text-anchor="end"'),
        f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{color}"/>',
        _label(_LEFT + width + 8, middle, f"{speed:,.0f}"),
    ]


def _label(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{_TEXT}" {style}>{escape(text)}</text>'
