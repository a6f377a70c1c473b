"""Write log lines on stderr in the form of InfraKit's programs, so that what reads theirs can read
ours.

Off a terminal ``time="..." level=info msg="..."`` and a blank; on one ``INFO[0000] ...`` in colour.
Set up once, by whichever program starts; everything else says ``logging.getLogger(__name__)`` and
no more. Levels: 0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug.
"""

from __future__ import annotations

import logging
import re
import select
import sys
import time
from typing import TextIO

from ..spi.text import go_quote, visible

_LEVELS = (
    logging.CRITICAL + 10,
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.DEBUG,
)
_WORDS = {
    "CRITICAL": "fatal",
    "ERROR": "error",
    "WARNING": "warning",
    "INFO": "info",
    "DEBUG": "debug",
}
_COLOURS = {"fatal": 31, "error": 31, "warning": 33, "info": 34, "debug": 37}
_PLAIN = re.compile(r"[A-Za-z0-9.-]*\Z")


class GoForm(logging.Formatter):
    """Formats records as InfraKit's logger does; ``terminal`` chooses the form for people."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal
        self.began = time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        level = _WORDS.get(record.levelname, "info")
        message = record.getMessage()
        if record.exc_info:  # a bug of ours, never a person's slip: say where
            message += "\n" + self.formatException(record.exc_info)
        if self.terminal:
            seconds = int(time.monotonic() - self.began)
            message = visible(message, keep="\n\t")
            return (
                f"\x1b[{_COLOURS[level]}m{level[:4].upper()}\x1b[0m[{seconds:04d}] {message:<44} "
            )
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created)) + _zone(
            record.created
        )
        return (
            f'time="{stamp}" level={level} '
            f"msg={message if _PLAIN.match(message) else go_quote(message)} "
        )


def _zone(at: float) -> str:
    offset = time.strftime("%z", time.localtime(at))
    return "Z" if offset in ("+0000", "-0000") else f"{offset[:3]}:{offset[3:]}"


class LossyHandler(logging.StreamHandler[TextIO]):
    """Writes lines, but ``info`` and ``debug`` only while they are read: no program waits for that.

    A terminal that was stopped with Ctrl-S does not read, nor does a full pipe. How many lines are
    lacking is said before the next one.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._left_out = 0
        self._poll = select.poll()
        self._poll.register(stream, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno <= logging.INFO and not self._poll.poll(0):
            self._left_out += 1
            return
        if self._left_out:
            missing, self._left_out = self._left_out, 0
            text = f"{missing} lines were left out here: nobody read them"
            super().emit(
                logging.makeLogRecord(
                    {"levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
                )
            )
        super().emit(record)


def set_up(level: int = 4, stream: TextIO | None = None) -> None:
    """Send everything logged at ``level`` (0 to 5, clamped) or graver to stderr, in Go's form."""
    stream = stream or sys.stderr  # None when it was closed before we began
    handler = _handler(stream) if stream else logging.NullHandler()
    handler.setFormatter(GoForm(stream is not None and stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[min(max(level, 0), 5)])
    for chatty in ("asyncio", "matplotlib"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a closed stderr ends no program


def _handler(stream: TextIO) -> logging.Handler:
    try:
        return LossyHandler(stream)
    except (OSError, ValueError):
        # not a file of the system, so that nothing can be said of its reader
        return logging.StreamHandler(stream)
