"""`trailstreams demo`: the whole road on an embedded Kafka, held against what was injected."""

import time
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams.cli.console import print_facts, print_json, print_line, print_rows, say
from streams.cli.logs import configure_logging
from streams.cli.rows import anomaly_row, instant
from streams.cli.scan import learning_sentence, print_anomalies
from streams.cli.stage import SOURCE_ID, Scene, Stage
from streams.connectors.files import Files, FilesOptions
from streams.connectors.synthetic import Synthetic, SyntheticOptions
from streams.detection.anomaly import Anomaly, Level
from streams.errors import TrailstreamsError
from streams.synthetic.scenarios import DEFAULT_START_MS, DEMO_MS
from streams.synthetic.scoring import Score, score
from streams.synthetic.traffic import MAX_DELAY_MS

MOST_STRAYS = 2
SEED = 1
DAY_MS = 24 * 3600 * 1000
LATEST = 6
FINEST = (Level.PRINCIPAL, Level.INITIATOR, Level.EVENT)


class DemoError(TrailstreamsError):
    """Raise when the demo does not show what it is for."""


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("demo")(demo)


def demo(
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Your own log files, folders or globs instead."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="Spread the traffic over so long; 0 is full speed.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Show the whole road in a few minutes: Kafka, a source, a worker, anomalies found.

    Starts a real Apache Kafka on this machine, streams two and a half days of an organization's
    made-up CloudTrail traffic through it, and holds the anomalies found against those injected:
    exits 1 when one was missed, or when more than two overlap none.
    With --input it streams your own files instead and tells what is in them.
    Everything it started or wrote is removed at the end.
    """
    configure_logging("WARNING")
    with Stage(say) as stage, _Theatre(hidden=as_json) as audience:
        if inputs:
            files = FilesOptions(paths=tuple(inputs), complete=True)
            own = Files(
                files,
                stage.settings,
                source_id=SOURCE_ID,
                remembered={},
                advance=lambda _done, _total: None,
            )
            scene = stage.play(own, audience)
        else:
            made_up = _synthetic(stage, seconds)
            scene = stage.play(made_up, audience)
    if inputs:
        _tell_found(scene, as_json=as_json)
        return
    (scenario,) = made_up.scenarios()
    result = score(scenario.injections, list(scene.anomalies.values()))
    _tell_score(scene, result, as_json=as_json)
    _judge(result)


def _synthetic(stage: Stage, seconds: float) -> Synthetic:
    """Return the demo's traffic: always the same week, so that every run shows the same."""
    ahead = DEFAULT_START_MS / 1000 + (DEMO_MS + MAX_DELAY_MS) / 1000 - time.time()
    options = SyntheticOptions(
        scenario="demo",
        seed=SEED,
        days=DEMO_MS / DAY_MS,
        speed=DEMO_MS / 1000 / seconds if seconds else 0.0,
        until_caught_up=True,
        complete=True,
    )
    return Synthetic(
        options,
        stage.settings,
        advance=lambda _done, _total: None,
        now=lambda: time.time() + ahead,
    )


class _Theatre:
    """Shows each scene as a table that is redrawn in place, where somebody looks."""

    def __init__(self, *, hidden: bool) -> None:
        console = Console(stderr=True)
        shown = console.is_terminal and not hidden
        self._live = Live(console=console, transient=True) if shown else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, scene: Scene) -> None:
        """Draw the scene."""
        if not self._live:
            return
        table = Table(title=f"{scene.seconds:.0f} s", title_justify="left", show_header=False)
        table.add_row("published", f"{scene.published:,}")
        table.add_row("counted", f"{scene.counted:,}")
        reached = instant(scene.watermark_ms // 1000 * 1000) if scene.watermark_ms else "-"
        table.add_row("event time closed", reached)
        for anomaly in _shown(scene)[-LATEST:]:
            table.add_row(f"{anomaly.type} {anomaly.state}", anomaly.sentence)
        self._live.update(table)


def _shown(scene: Scene) -> list[Anomaly]:
    kept = [a for a in scene.anomalies.values() if not (a.suppressed or a.provisional)]
    return sorted(kept, key=lambda anomaly: (anomaly.window_start_ms, anomaly.anomaly_id))


def _tell_found(scene: Scene, *, as_json: bool) -> None:
    rows = [anomaly_row(anomaly) for anomaly in _shown(scene)]
    if as_json:
        for row in rows:
            print_json({"kind": "anomaly", **row})
    else:
        print_anomalies(rows)
    _tell_numbers(scene, as_json=as_json)


def _tell_score(scene: Scene, result: Score, *, as_json: bool) -> None:
    rows = []
    for injection, finders in result.found:
        # The finest level names who.
        first = min(finders, key=lambda a: (a.window_start_ms, FINEST.index(a.level)), default=None)
        delay_ms = first.window_start_ms - injection.start_ms if first else None
        rows.append(
            {
                "injected": instant(injection.start_ms),
                "event name": injection.event_name,
                "initiator": injection.initiator,
                "factor": injection.factor,
                "found by": ", ".join(sorted({a.type for a in finders})) or "MISSED",
                "after minutes": "" if delay_ms is None else delay_ms // 60_000,
                "sentence": first.sentence if first else "",
            }
        )
    if as_json:
        for row in rows:
            print_json({"kind": "injection", **row})
        for anomaly in result.strays:
            print_json({"kind": "stray", **anomaly_row(anomaly)})
    else:
        print_rows(rows, columns=tuple(rows[0])[:-1], as_json=False, title="Injected and found")
        for row in rows:
            print_line(f"- {row['sentence'] or 'MISSED: ' + str(row['event name'])}")
        if result.strays:
            print_anomalies([anomaly_row(anomaly) for anomaly in result.strays])
    _tell_numbers(
        scene,
        as_json=as_json,
        found=f"{len(result.found) - result.missed} of {len(result.found)}",
        strays=len(result.strays),
    )


def _tell_numbers(scene: Scene, *, as_json: bool, **more: object) -> None:
    numbers: dict[str, object] = {
        "published": scene.published,
        "rejected": scene.rejected,
        "counted": scene.counted,
        "duplicates": scene.duplicates,
        "seconds": round(scene.seconds),
        **more,
        "learning": scene.learning,
        "watching": scene.watching,
    }
    if as_json:
        print_json({"kind": "summary", **numbers})
        return
    print_facts(numbers)
    print_line(learning_sentence(scene.learning, scene.watching))


def _judge(result: Score) -> None:
    if result.missed:
        raise DemoError(f"{result.missed} of {len(result.found)} injected anomalies were missed")
    if len(result.strays) > MOST_STRAYS:
        raise DemoError(
            f"{len(result.strays)} anomalies overlap no injection, more than {MOST_STRAYS}"
        )
