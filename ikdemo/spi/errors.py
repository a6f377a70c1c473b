"""Every error this package raises on purpose, and whether trying again is safe.

    IkdemoError                                                            retry
    |-- SpecError            a document is wrong, until it is changed      no
    |-- PluginFailure        a plugin understood and said no               after observing
    |   |-- UnknownGroup     no such group is being watched                no
    |   |-- NotLeader        another manager leads: ask that one           no
    |   |-- VersionConflict  what was to be changed has changed meanwhile  after observing
    |   `-- RemoteFailure    the same, from the other side of a socket     after observing
    |-- PluginUnavailable    nothing was sent: no connection               yes
    |   `-- PluginNotFound   no socket of that name                        yes, once it runs
    |-- OutcomeUnknown       sent, and no answer came; it may have been    after observing
    |-- ProtocolError        the other side does not speak what we speak   no
    |-- InUse                another living process owns it                when that is gone
    |   `-- LeaseLost        it was ours and is not any longer             no, stop
    |       `-- Fenced       a newer leader has begun                      no, stop
    |-- CorruptState         a stored file cannot be trusted               no, a person looks at it
    `-- NotConverged         the deadline passed; carries the reasons      yes, waiting is free

Only the classes live here; every floor raises them. A command line prints ``str(error)`` and
nothing else.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from .text import visible

Retry = Literal["no", "yes", "observe first"]


class IkdemoError(Exception):
    """The root: anything this package says no with. ``code`` is its JSON-RPC error code, ``retry``
    when to try again.
    """

    code: ClassVar[int] = -32000
    retry: ClassVar[Retry] = "no"

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows (IPython asks the exception for it): the sentence, not
        twenty frames.
        """
        said = [f"{type(self).__name__}: {self}", *getattr(self, "__notes__", ())]
        return [visible(line, keep="\n\t") for line in said]


class SpecError(IkdemoError):
    """A document is not what it should be.

    ``path`` is a JSON path such as ``$.Properties.Allocation.Size`` (empty when InfraKit's own
    sentence, which has no path, is used), ``expected`` says what would have been right.
    """

    def __init__(self, message: str, *, path: str = "", expected: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.expected = expected


class PluginFailure(IkdemoError):
    """A plugin understood the request and could not or would not do it; its text is the message."""

    retry: ClassVar[Retry] = "observe first"


class UnknownGroup(PluginFailure):
    """The group plugin does not watch a group of this ID."""

    retry: ClassVar[Retry] = "no"

    def __init__(self, group: str) -> None:
        super().__init__(f"Group '{group}' is not being watched")
        self.group = group

    @staticmethod
    def is_said_by(error: IkdemoError) -> bool:
        """Say whether an error means that there is no such group, on whichever side of a socket it
        was raised.
        """
        return str(error).endswith("is not being watched")


class VersionConflict(PluginFailure):
    """What was to be changed is not of the version any longer that was read, so nothing was
    changed: read it again, and decide again.
    """


class NotLeader(PluginFailure):
    """A manager that does not lead changes nothing; in the words of InfraKit's."""

    retry: ClassVar[Retry] = "no"

    def __init__(self) -> None:
        super().__init__("not-a-leader")


class RemoteFailure(PluginFailure):
    """A plugin behind a socket answered with a JSON-RPC error; the message is that error's message,
    word for word.

    ``final``: the plugin said that the same request can never succeed.
    """

    def __init__(self, message: str, *, remote_code: int = -32000, final: bool = False) -> None:
        super().__init__(message)
        self.remote_code = remote_code
        self.final = final


class PluginUnavailable(IkdemoError):
    """The request never left: no connection could be made."""

    retry: ClassVar[Retry] = "yes"


class PluginNotFound(PluginUnavailable):
    """No plugin socket of this name is in the plugin directory."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Plugin not found: {name}")
        self.name = name


class OutcomeUnknown(IkdemoError):
    """The request was sent and no answer came: it may or may not have happened. Observe before
    doing anything.
    """

    retry: ClassVar[Retry] = "observe first"


class ProtocolError(IkdemoError):
    """Bytes arrived that are not what the protocol promises, here or on the other side."""

    code = -32600


class InUse(IkdemoError):
    """Something that has one owner already has one; the message names the owner's pid where it can
    be known.
    """


class LeaseLost(InUse):
    """What this process owned now belongs to another one, or is gone: stop writing at once."""


class Fenced(LeaseLost):
    """A leader of a later epoch has begun, so nothing is done any longer for one of ``epoch``.

    ``begun`` is the later epoch. On the wire the sentence is all there is (InfraKit's programs pass
    on nothing else of an error), so ``said_by`` knows it again.

    >>> str(Fenced(7, 9)), Fenced.said_by(str(Fenced(7, 9))).begun
    ('fenced: epoch 7 is over, 9 has begun', 9)
    """

    _SENTENCE: ClassVar[re.Pattern[str]] = re.compile(
        r"fenced: epoch (\d{1,19}) is over, (\d{1,19}) has begun", re.ASCII
    )

    def __init__(self, epoch: int, begun: int) -> None:
        super().__init__(f"fenced: epoch {epoch} is over, {begun} has begun")
        self.epoch = epoch
        self.begun = begun

    @classmethod
    def said_by(cls, message: str) -> Fenced | None:
        """Return the error whose sentence a message is, None when it is another one.

        >>> Fenced.said_by("write: fenced: epoch 7 is over, 9 has begun") is None
        True
        """
        said = cls._SENTENCE.fullmatch(message)
        return cls(int(said[1]), int(said[2])) if said else None


class CorruptState(IkdemoError):
    """A file of ours cannot be read back; it is left as it is, and the message says where it is."""


class NotConverged(IkdemoError):
    """The wait ended before the group was as wanted; ``why`` holds one sentence per reason, of
    which the message shows a few.

    >>> (
    ...     str(NotConverged("web is not as wanted", ("slot 0: missing", "slot 1: missing"))),
    ...     NotConverged.SHOWN,
    ... )
    ('web is not as wanted: slot 0: missing; slot 1: missing', 10)
    >>> str(NotConverged("web is not as wanted", tuple(f"slot {n}" for n in range(2000))))[-29:]
    'slot 8; slot 9; and 1990 more'
    """

    retry: ClassVar[Retry] = "yes"
    SHOWN: ClassVar[int] = 10

    def __init__(self, message: str, why: tuple[str, ...] = ()) -> None:
        more = len(why) - self.SHOWN
        shown = (*why[: self.SHOWN], f"and {more} more") if more > 0 else why
        super().__init__(message if not why else message + ": " + "; ".join(shown))
        self.why = why
