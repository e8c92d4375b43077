"""`trailstreams scan`: count and judge log files without Kafka."""

from collections import Counter
from typing import Annotated

import typer

from streams.cli.console import print_facts, print_json, print_line, print_rows, progress
from streams.cli.rows import anomaly_row, count_row
from streams.scan import Findings, Scan
from streams.settings import load_settings

SHOWN = 20


def add(app: typer.Typer) -> None:
    """Attach the command."""
    app.command("scan")(scan)


def scan(
    paths: Annotated[
        list[str], typer.Argument(help="Log files, folders (read recursively) and globs.")
    ],
    *,
    as_given: Annotated[
        bool, typer.Option("--as-given", help="Read in the order given, not by delivery stamps.")
    ] = False,
    processes: Annotated[
        int,
        typer.Option(min=0, help="Processes that read; 0 is one a processor where it pays."),
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every count and anomaly, one JSON object a line.")
    ] = False,
) -> None:
    """Count CloudTrail log files and find anomalies in them, exactly as the workers would.

    Needs no Kafka and stores nothing: also the way to look at history older than a deployment's
    timeline.
    """
    settings = load_settings()
    with progress(hidden=as_json) as bar:
        task = bar.add_task("scan", total=None)
        findings = Scan(settings).run(
            paths,
            as_given=as_given,
            processes=processes,
            advance=lambda done, total: bar.update(task, completed=done, total=total),
        )
    (_print_json if as_json else _print_tables)(findings)


def _print_json(findings: Findings) -> None:
    for (activity, start_ms), count in sorted(findings.counts.items(), key=lambda item: item[0]):
        print_json({"kind": "count", **count_row(activity, start_ms, count)})
    for anomaly in findings.anomalies.values():
        print_json({"kind": "anomaly", **anomaly_row(anomaly)})
    for rejected in findings.rejected:
        print_json(
            {
                "kind": "rejected",
                "reason": rejected.reason.value,
                "origin": rejected.origin.object,
                "origin_index": rejected.origin.index,
                "error": rejected.error,
            }
        )
    print_json({"kind": "summary", **summary(findings)})


def summary(findings: Findings) -> dict[str, int]:
    """Return what became of the records, and how many series are judged by what."""
    return {
        "seen": findings.seen,
        "counted": findings.counted,
        "duplicates": findings.duplicates,
        "filtered": findings.filtered,
        "rejected": len(findings.rejected),
        "too_late": findings.too_late,
        "anomalies": len(findings.anomalies),
        "learning": findings.learning,
        "watching": findings.watching,
    }


def _print_tables(findings: Findings) -> None:
    totals: Counter[tuple[str, ...]] = Counter()
    for (activity, _), count in findings.counts.items():
        totals[activity.event_source, activity.event_name, activity.initiator] += count.count
    rows = [
        {"calls": calls, "event source": source, "event name": name, "initiator": initiator}
        for (source, name, initiator), calls in totals.most_common(SHOWN)
    ]
    print_rows(
        rows,
        columns=("calls", "event source", "event name", "initiator"),
        as_json=False,
        title=f"Most called, {len(rows)} of {len(totals)}",
    )
    told = [anomaly for anomaly in findings.anomalies.values() if not anomaly.suppressed]
    print_anomalies([anomaly_row(anomaly) for anomaly in told])
    print_facts(summary(findings))
    print_line(learning_sentence(findings.learning, findings.watching))


def print_anomalies(rows: list[dict[str, object]]) -> None:
    """Print anomalies as people want them: when, what, and the sentence."""
    if not rows:
        print_line("No anomalies.")
        return
    columns = ("window_start", "state", "type", "level", "sentence")
    print_rows(rows, columns=columns, as_json=False, title=f"Anomalies: {len(rows)}")


def learning_sentence(learning: int, watching: int) -> str:
    """Say how much of what is watched is judged by a fixed threshold only."""
    return (
        f"learning: {learning} of {learning + watching} series younger than 1 day; "
        "judged by threshold only"
    )
