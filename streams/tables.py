"""The one Faust table: its changelog is `<app>-state-changelog`, its rows are the partitions'.

Faust assigns a table's changelog partition to the owner of the same source partition; that is all
the engine needs of it.
What the rows mean is told in `streams/state/layout.py`, where they are packed and read.
"""

from streams.engine.ownership import EngineApp, EngineTable

NAME = "state"


def create_state_table(app: EngineApp, partitions: int) -> EngineTable:
    """Register the table, so that its changelog takes part in assignments."""
    table = EngineTable(app, name=NAME, partitions=partitions, key_type=bytes, value_type=bytes)
    app.tables.add(table)
    return table
