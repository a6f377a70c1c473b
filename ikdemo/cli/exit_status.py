"""How a program ends: an exit status, and at most one line on stderr, whatever happened.

The last place that an error can reach.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence

from ..spi.errors import IkdemoError
from .logs import set_up


def guarded(run: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a program and turn whatever it ends with into an exit status and at most one line on
    stderr.
    """
    # what imports make stays: to look through it again and again is 5 to 10 of 100 ms
    gc.set_threshold(20_000)
    set_up()
    log = logging.getLogger(__name__)
    try:
        "\0".join(argv).encode()  # an argument that is no text cannot travel in JSON
        status = run(argv)
        print(end="", flush=True)
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has enough: say nothing
        _drop_output()
        return 1
    except UnicodeEncodeError:
        log.critical("an argument is not UTF-8 text")
    except IkdemoError as error:
        log.critical("%s", error)
    except OSError as error:
        log.error("%s", _go_words(error))
        try:
            sys.stdout.flush()
        except OSError:  # it was the output itself that could not be written
            _drop_output()
    finally:
        # likewise for the interpreter's end, which would look through all of it once more
        gc.freeze()
    return 1


def _drop_output() -> None:
    """Forget what could not be written, or the interpreter would try again at its end and
    complain.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _go_words(error: OSError) -> str:
    """Say an operating system's no as InfraKit does: what was done, to which file, why."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    verb = "read" if error.errno == errno.EISDIR else "open"
    return f"{verb} {error.filename}: {why}" if error.filename is not None else why
