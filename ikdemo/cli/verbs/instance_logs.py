"""The verb ``ikdemo instance logs``: what an instance printed. Loaded by ``commands``.

Control characters are escaped, as ``journalctl`` does, also in a pipe: most pipes end on a
terminal.
"""

from __future__ import annotations

from ...spi.contracts import Logging
from ...spi.errors import PluginFailure
from ...spi.text import visible
from ..commands import Invocation, Verb, show
from ..connections import peers
from ..flags import Flag, whole_number

_TAIL = Flag(
    "tail",
    "how many lines, from the end; 0 for all that is kept",
    whole_number,
    0,
    placeholder="number",
)


async def logs(call: Invocation) -> None:
    async with peers(call.directory) as found:
        instances = await found.instance(call["name"])
        if "Logs" not in instances.offers or not isinstance(instances.plugin, Logging):
            raise PluginFailure(
                f"the instance plugin {call['name']} keeps nothing that instances print"
            )
        lines = await instances.plugin.logs(call.arguments[0], call["tail"])
    show("\n".join(visible(line, keep="\t") for line in lines))


VERBS = (
    Verb(
        "logs",
        "ID",
        "Print the last output of an instance, also shortly after its end",
        logs,
        (_TAIL,),
    ),
)
