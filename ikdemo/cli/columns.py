"""Lay out what the command line prints: InfraKit's columns exactly, and ours, with every text made
visible. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from ..spi.documents import Description
from ..spi.events import Event
from ..spi.plans import Outcome, Reason, Step
from ..spi.text import aligned, visible


def instance_rows(instances: Iterable[Description] | None, quiet: bool) -> str:
    r"""Lay out instances as InfraKit does: ID, logical ID, tags.

    >>> instances = [Description("i-1", None, {"b": "2", "a": "1"})]
    >>> print(instance_rows(instances, quiet=True).replace("\t", "|"))
    i-1                           |  -                           |a=1,b=2
    """
    rows = [] if quiet else [("ID", "LOGICAL", "TAGS")]
    for one in instances or ():
        logical = "  -   " if one.logical_id is None else visible(one.logical_id)
        rows.append((visible(one.id), logical, tag_list(one.tags)))
    return "\n".join(f"{name:<30}\t{logical:<30}\t{tags}" for name, logical, tags in rows)


def tag_list(tags: Mapping[str, str] | None) -> str:
    """Join tags as ``k=v,k=v``, sorted."""
    return visible(",".join(sorted(f"{key}={value}" for key, value in (tags or {}).items())))


def plugin_rows(plugins: Iterable[tuple[str, object]], quiet: bool) -> str:
    """Lay out plugins and their sockets as InfraKit does."""
    rows = [] if quiet else [("NAME", "LISTEN")]
    return "\n".join(
        f"{name:<20}\t{path}"
        for name, path in [*rows, *((visible(n), visible(str(p))) for n, p in plugins)]
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out below a header, every column as wide as it needs and two blanks between.

    >>> print(table(("CODE", "WHY"), [("missing", "slot 3 has no instance")]))
    CODE     WHY
    missing  slot 3 has no instance
    """
    lines = [[visible(" ".join(str(cell).split())) for cell in row] for row in (header, *rows)]
    return "\n".join(aligned(lines))


def reason_rows(reasons: Iterable[Reason], now: float) -> str:
    """Lay out why a group is not as wanted; ``now`` is in seconds since the epoch."""
    return table(
        ("REASON", "SLOT", "INSTANCE", "FOR", "WHY", "AWAITS"),
        [
            (r.code, r.slot, r.instance, _age(r.since, now), reason_text(r), r.awaits)
            for r in reasons
        ],
    )


def reason_text(reason: Reason) -> str:
    """Say one reason in words, with the error behind it."""
    is_news = reason.error and reason.error not in reason.text
    return f"{reason.text} ({reason.error})" if is_news else reason.text


def _age(since: float, now: float) -> str:
    return f"{max(0.0, now - since):.0f}s" if since else ""


def step_rows(step: Step) -> str:
    """Lay out a planned or executed pass: one row per action and, once done, what came of it."""
    done = {_key(outcome): outcome for outcome in step.outcomes}
    header = ("ACTION", "SLOT", "INSTANCE", "REASON") + (("OUTCOME",) if done else ())
    rows = []
    for action in step.plan.actions:
        outcome = done.get((action.verb, action.slot, action.instance))
        row = (
            action.verb,
            action.slot,
            action.instance or (outcome.instance if outcome else ""),
            action.code,
        )
        rows.append((*row, _said(outcome)) if done else row)
    return table(header, rows)


def _key(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.action.verb, outcome.action.slot, outcome.action.instance


def _said(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not tried"
    if outcome.error:
        return f"failed: {outcome.error}"
    return "answer lost" if outcome.unknown else "done"


def event_row(event: Event, began: float | None = None) -> str:
    """Say one event in a line: the time (of day, or seconds since ``began``), who says it, what, of
    what, and its words.

    >>> event = Event("lost", 12.5, "file", "web", "i-1", "3")
    >>> event_row(event, began=12.0)
    '  0.500s  file                   lost         web slot 3 i-1'
    """
    if began is None:
        clock = time.strftime("%H:%M:%S", time.localtime(event.time))
        clock += f".{int(event.time * 1000) % 1000:03d}"
    else:
        clock = f"{event.time - began:7.3f}s"
    what = [event.group, f"slot {event.slot}" if event.slot else "", event.instance, event.code]
    words = ": ".join(part for part in (" ".join(filter(None, what)), event.text) if part)
    who, kind = visible(event.plugin), visible(event.kind)
    return f"{clock}  {who:<21}  {kind:<11}  {visible(' '.join(words.split()))}".rstrip()
