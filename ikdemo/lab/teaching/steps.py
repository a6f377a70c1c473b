"""Names the step that was skipped, when a plugin or a group is not there that a call needs. Called by ``Line``."""

from __future__ import annotations

import re

from ...spi.errors import IkdemoError, PluginNotFound, UnknownGroup

NAMED_IN_A_SPEC = re.compile(r"Failed to find (?:Flavor|Instance) plugin '([^']+)'")


def name_the_step(error: IkdemoError) -> None:
    """Add to an error what is to be done first, as a note below its sentence.

    >>> missing = PluginNotFound("group")
    >>> name_the_step(missing)
    >>> print(*missing._render_traceback_(), sep="\\n")
    PluginNotFound: Plugin not found: group
    Start it first: lab.start(), or lab.start_plugin(..., name='group'). lab.plugins() says what runs.
    """
    if isinstance(error, PluginNotFound):
        error.add_note(
            f"Start it first: lab.start(), or lab.start_plugin(..., name={error.name!r}). lab.plugins() says what runs."
        )
    elif missed := NAMED_IN_A_SPEC.match(str(error)):
        error.add_note(
            f"No {missed[1]!r} runs in this lab. Start it first: run the cells above this one again, from the first one on."
        )
    elif UnknownGroup.is_said_by(error):
        error.add_note("Commit it first: lab.commit(...)")
