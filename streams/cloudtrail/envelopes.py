"""From an object's bytes to the records in it, however they are wrapped.

A trail's folder holds log files, their digests, and whatever else people put there.
Every record in is a record out: one that cannot be separated is in the `raw` of a Rejected.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from streams.cloudtrail.gunzip import Unpacked, unpack
from streams.cloudtrail.json_text import OBJECT
from streams.cloudtrail.parse import MAX_RECORD_BYTES
from streams.cloudtrail.record import Filtered, Origin, Reason, Rejected, Skipped
from streams.cloudtrail.scan import Extent, value_at, values

EXCERPT_BYTES: Final = 64 * 1024
"""How much of an object that is no trail goes with its rejection."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_RECORD_MARK: Final = re.compile(
    rb'"(?:event(?:Time|Name|Source|Type|ID|Category)|userIdentity)"', re.IGNORECASE
)
_LIST_START: Final = re.compile(rb'\s*(?:\{\s*"Records"\s*:\s*)?\[')
_DIGEST_MEMBERS: Final = frozenset({"digestStartTime", "digestEndTime", "logFiles"})


class RawRecord(NamedTuple):
    """One record's JSON, not yet looked at, and where it came from."""

    raw: msgspec.Raw | bytes
    origin: Origin


class Fault(NamedTuple):
    """What is wrong with the part of an object in which no record can be told from the next."""

    reason: Reason
    error: str
    raw: bytes


class Content(NamedTuple):
    """What a document holds."""

    records: Sequence[msgspec.Raw | bytes] = ()
    skipped: Filtered | None = None
    fault: Fault | None = None


class _LogFile(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records")


_LOG_FILE: Final = msgspec.json.Decoder(_LogFile)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)


def read_object(
    source: bytes | Iterable[bytes], name: str, *, max_bytes: int
) -> Iterator[RawRecord | Rejected | Skipped]:
    """Yield the records of one object in their order, then what else is to be said of it.

    Takes gzip of any number of members, or plain text; a log file, an array, a single record,
    records line by line or one after the other.
    An object of more than `max_bytes` unpacked is rejected as a whole. Of a cut one the complete
    records come first and the rest is one Rejected; so it is with one damaged inside a gzip member,
    but none of that member's records come. An object in which nothing looks like a record is one
    Rejected; a digest file is one Skipped; an empty `Records` yields nothing.
    Holds the unpacked object in memory. Raises only what `source` raises.
    """
    unpacked = unpack(source, max_bytes)
    if unpacked.too_large:
        error = f"expected at most {max_bytes} bytes unpacked"
        content = Content(fault=Fault(Reason.TOO_LARGE, error, unpacked.data[:EXCERPT_BYTES]))
    else:
        content = _content(unpacked.data)
        if unpacked.damage:
            content = _with_damage(content, unpacked)
    for index, raw in enumerate(content.records):
        yield RawRecord(raw, Origin(name, index))
    if content.skipped:
        yield Skipped(reason=content.skipped, origin=Origin(name, -1))
    if content.fault:
        reason, error, raw = content.fault
        yield Rejected(reason=reason, error=error, origin=Origin(name, -1), raw=raw)


def _with_damage(content: Content, unpacked: Unpacked) -> Content:
    rest = (content.fault.raw if content.fault else b"") + unpacked.damaged
    fault = Fault(Reason.TRUNCATED, f"expected whole gzip: {unpacked.damage}", rest)
    return content._replace(fault=fault)


def _content(data: bytes) -> Content:
    data = data.removeprefix(_BYTE_ORDER_MARK).strip()
    if not data:
        return Content(fault=Fault(Reason.TRUNCATED, "expected records, got an empty object", b""))
    if data[:1] not in (b"{", b"["):
        return Content(fault=_no_trail(data))
    content = _decoded(data) or _joined(_documents(data))
    if content.records and not any(_RECORD_MARK.search(bytes(raw)) for raw in content.records):
        error = "expected CloudTrail records, got other JSON"
        return Content(fault=Fault(Reason.NOT_A_RECORD, error, data[:EXCERPT_BYTES]))
    return content


def _no_trail(data: bytes) -> Fault:
    excerpt = data[:EXCERPT_BYTES]
    try:
        _ANY.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return Fault(Reason.NOT_JSON, "expected JSON, got something else", excerpt)
    return Fault(Reason.NOT_A_RECORD, "expected CloudTrail records, got a JSON scalar", excerpt)


# Containers: each takes one JSON document, returns None if it is another one's, and raises
# msgspec.DecodeError or RecursionError if it is not valid.


def log_file(document: bytes) -> Content | None:
    """Read `{"Records": [...]}`, as CloudTrail delivers to S3."""
    if b'"Records"' not in document:
        return None
    try:
        return Content(_LOG_FILE.decode(document).records)
    except msgspec.ValidationError:
        return None


def array(document: bytes) -> Content | None:
    """Read a bare array of records, as people export them."""
    return Content(_ARRAY.decode(document)) if document.startswith(b"[") else None


def digest(document: bytes) -> Content | None:
    """Recognize a digest file by its members: its name may have been changed.

    Source: CloudTrail User Guide, "CloudTrail digest file structure".
    """
    if b'"digestStartTime"' not in document:
        return None
    if OBJECT.decode(document).keys() >= _DIGEST_MEMBERS:
        return Content(skipped=Filtered.DIGEST)
    return None


def single(document: bytes) -> Content | None:
    """Take any other document for one record; the parser judges it."""
    return Content([_ANY.decode(document)])


CONTAINERS: Final[tuple[Callable[[bytes], Content | None], ...]] = (
    log_file,
    array,
    digest,
    single,
)
"""Decoders of a document, asked in this order; a further envelope is one more function here."""


def _decoded(document: bytes) -> Content | None:
    """Return what a valid document holds, None if it is not one valid document."""
    try:
        return next(filter(None, (container(document) for container in CONTAINERS)), None)
    except (msgspec.DecodeError, RecursionError):
        return None


def _documents(data: bytes) -> Iterator[Content]:
    """Split what is not one valid document: several in a row, a bad one, a cut one."""
    lines = [line for line in map(bytes.strip, data.splitlines()) if line]
    if len(lines) > 1 and _is_whole(lines[0], value_at(lines[0], 0)):
        yield from map(_line, lines[:-1])
        yield _line(lines[-1], may_be_cut=True)
        return
    position = 0
    for extent in values(data, 0, len(data)):
        if data[extent.start : extent.start + 1] not in (b"{", b"["):
            break
        yield _document(data[extent.start : extent.end], cut=not extent.complete)
        position = extent.end
    rest = data[position:].strip(b", \t\r\n")
    if rest:
        error = "expected JSON to the end of the object"
        yield Content(fault=Fault(Reason.NOT_JSON, error, rest[:EXCERPT_BYTES]))


def _is_whole(line: bytes, extent: Extent) -> bool:
    return extent.complete and extent.end == len(line)


def _line(line: bytes, *, may_be_cut: bool = False) -> Content:
    """Read a line by itself: a bad one must not swallow the next."""
    extent = value_at(line, 0)
    if _is_whole(line, extent):
        return _document(line, cut=False)
    if may_be_cut and not extent.complete:
        return _document(line, cut=True)
    return Content([line])


def _document(document: bytes, *, cut: bool) -> Content:
    """Read a document that may be bad in one of its records, or end in the middle of one."""
    decoded = None if cut else _decoded(document)
    if decoded:
        return decoded
    list_start = _LIST_START.match(document)
    if list_start:
        return _elements(document, list_start.end(), cut=cut)
    return Content(fault=_cut(document)) if cut else Content([document])


def _elements(document: bytes, start: int, *, cut: bool) -> Content:
    records = []
    for extent in values(document, start, len(document)):
        if not extent.complete:
            break
        records.append(document[extent.start : extent.end])
        start = extent.end
    return Content(records, fault=_cut(document[start:]) if cut else None)


def _cut(rest: bytes) -> Fault:
    error = "expected the end of a JSON value, got the end of the object"
    return Fault(Reason.TRUNCATED, error, rest[:MAX_RECORD_BYTES])


def _joined(contents: Iterable[Content]) -> Content:
    found = list(contents)
    return Content(
        [record for content in found for record in content.records],
        next((content.skipped for content in found if content.skipped), None),
        next((content.fault for content in found if content.fault), None),
    )
