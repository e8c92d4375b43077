"""What is counted: the absolute number of calls of one activity in one window."""

from typing import NamedTuple


class ActivityCount(NamedTuple):
    """Calls of one activity in one tumbling window `[window_start, window_end)`.

    The count is absolute: a later `revision` replaces an earlier one.
    Revision 0 is emitted when the window closes; each amendment by late events adds 1.
    """

    window_end_ms: int
    # A NamedTuple's member may hide tuple.count; nobody searches a count for a value.
    count: int  # type: ignore[assignment]
    revision: int
    first_event_ms: int
    last_event_ms: int
