"""`trailstreams topics`: create, correct and check the topics and their schemas."""

from typing import Annotated

import typer

from streams.cli.console import print_rows, say
from streams.settings import Settings, load_settings
from streams.topics import (
    TopicState,
    apply,
    catalogue,
    check,
    check_schemas,
    describe,
    register_schemas,
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def add(app: typer.Typer) -> None:
    """Attach the commands."""
    topics = typer.Typer(
        help="Create, correct and check the Kafka topics that everything else runs on.",
        no_args_is_help=True,
    )
    topics.command("apply")(run_apply)
    topics.command("check")(run_check)
    topics.command("list")(run_list)
    app.add_typer(topics, name="topics")


def run_apply(as_json: _Json = False) -> None:
    """Create missing topics and correct the configuration of those that differ.

    Nothing is ever deleted, and the number of partitions is never changed: another number needs a
    new TRAILSTREAMS_TOPIC_PREFIX and a replay. With TRAILSTREAMS_SCHEMA_REGISTRY_URL the schemas
    are registered, too. Running it again changes nothing.
    """
    settings = load_settings()
    rows = [{"topic": topic, "done": done} for topic, done in apply(settings).items()]
    print_rows(rows, columns=("topic", "done"), as_json=as_json)
    registered = register_schemas(settings)
    if registered:
        subjects = [{"subject": subject, "done": done} for subject, done in registered.items()]
        print_rows(subjects, columns=("subject", "done"), as_json=as_json)


def run_check(as_json: _Json = False) -> None:
    """Exit 1 with one line for each topic that is missing or not as it must be.

    With TRAILSTREAMS_SCHEMA_REGISTRY_URL, for each schema that is not registered, too.
    """
    settings = load_settings()
    check(settings)
    check_schemas(settings)
    rows = [{"topic": topic.name, "state": "fine"} for topic in catalogue(settings)]
    if as_json:
        print_rows(rows, columns=("topic", "state"), as_json=True)
    else:
        say(f"All {len(rows)} topics are as they must be.")


def run_list(as_json: _Json = False) -> None:
    """Show every topic: what is in it, how it is configured and what the broker has of it."""
    settings = load_settings()
    rows = [_row(state, settings) for state in describe(settings)]
    columns = ("topic", "key", "value", "partitions", "cleanup", "retention", "state")
    print_rows(rows, columns=columns, as_json=as_json)


def _row(state: TopicState, settings: Settings) -> dict[str, object]:
    topic = state.topic
    own = topic.name == settings.changelog_topic
    differs = [f"{name} {came}" for name, came in state.wrong_config.items()]
    return {
        "topic": topic.name,
        "key": topic.key_schema or ("state" if own else "text"),
        "value": topic.value_schema or "state",
        "partitions": topic.partitions,
        "cleanup": topic.config["cleanup.policy"],
        "retention": _days(topic.config.get("retention.ms")),
        "state": "; ".join(dict.fromkeys((*state.problems, *differs))) or "fine",
    }


def _days(retention_ms: str | None) -> str:
    return f"{int(retention_ms) // 86_400_000} d" if retention_ms else "for ever"
