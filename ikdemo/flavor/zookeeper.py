"""The flavor ``zookeeper``: makes each pet of a group a member of one ZooKeeper ensemble.

An ensemble needs members that know each other's addresses, so the group must be one of LogicalIDs,
and these are the addresses. What a member runs at its start is decided only here. Keeps nothing and
touches nothing.
"""

from __future__ import annotations

import re

from msgspec import Raw
from msgspec.structs import replace

from ..spi.contracts import Interface
from ..spi.documents import Allocation, Description, Document, Health, InstanceSpec
from ..spi.errors import SpecError
from .vanilla import read, require

MEMBER = "member"
MOST = 255
"""ZooKeeper numbers its members from 1 to 255."""
_ADDRESS = re.compile(r"[A-Za-z0-9.:_-]+")

_WRITE = """\
#!/bin/sh
# Member {number} of a ZooKeeper ensemble of {count}. ZOO_CONF_DIR and ZOO_DATA_DIR \
may say other folders.
set -eu
conf="${{ZOO_CONF_DIR:-/etc/zookeeper/conf}}"
data="${{ZOO_DATA_DIR:-/var/lib/zookeeper}}"
{before}mkdir -p "$conf" "$data"
echo {number} > "$data/myid"
cat > "$conf/zoo.cfg" << EOF
tickTime=2000
initLimit=10
syncLimit=5
dataDir={data}
clientPort=2181
{servers}
EOF
{start}"""
_INSTALL = """\
if [ ! -x /usr/share/zookeeper/bin/zkServer.sh ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y zookeeperd
fi
"""
_SERVICE = "service zookeeper restart\n"
_CONTAINER = """\
docker run --detach --name zookeeper --restart unless-stopped \\
  --publish 2181:2181 --publish 2888:2888 --publish 3888:3888 \\
  --volume "$conf/zoo.cfg:/conf/zoo.cfg" --volume "$data:/data" \\
  zookeeper:3.9
"""


class ZookeeperProperties(Document, frozen=True):
    """``type``: what the node is in the ensemble. ``use_docker``: run it as a container, not as a
    service of the machine.
    """

    type: str = ""
    use_docker: bool = False


class Zookeeper:
    """A flavor for the members of a ZooKeeper ensemble; health never changes, so it need not be
    asked for.
    """

    interface: Interface = "Flavor"
    offers = frozenset({"ConstantHealth", "ConstantPrepare"})

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept members that each have an address of their own; raises SpecError."""
        if read(properties, ZookeeperProperties).type != MEMBER:
            raise SpecError("Unrecognized node Type", path="$.Properties.Type", expected=MEMBER)
        if not allocation.logical_ids:
            raise SpecError(
                "IP addresses are required as LogicalIDs for a ZooKeeper ensemble",
                path="$.Allocation.LogicalIDs",
            )
        _check(allocation.logical_ids)

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with Init replaced by a script that starts this member; its number is its
        place in LogicalIDs.

        Raises SpecError when the spec has no LogicalID, or one that is not in the allocation.
        """
        wanted, members = read(properties, ZookeeperProperties), allocation.logical_ids or []
        if wanted.type != MEMBER:
            raise SpecError("Unsupported role type", path="$.Properties.Type", expected=MEMBER)
        if spec.logical_id is None:
            raise SpecError(
                "Manager nodes require an assigned logical ID",
                path="$.Spec.LogicalID",
                expected="an address",
            )
        if spec.logical_id not in members:
            sentence = (
                f"LogicalID '{spec.logical_id}' is not among the LogicalIDs of the allocation"
            )
            raise SpecError(
                sentence, path="$.Spec.LogicalID", expected="one of the allocation's LogicalIDs"
            )
        _check(members)
        return replace(
            spec,
            init=start_script(
                members.index(spec.logical_id) + 1, members, docker=wanted.use_docker
            ),
        )

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Say that the instance is healthy."""
        require(properties)
        return Health.HEALTHY

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Let the instance go: the ensemble notices by itself."""
        require(properties)


def start_script(number: int, members: list[str], *, docker: bool) -> str:
    """Return a shell script that configures and starts one member; ``number`` counts from 1.

    In a container the member's own address is not one of the container's, so there it listens on
    all of them.

    >>> script = start_script(2, ["10.0.0.1", "fd00::2"], docker=False)
    >>> [row for row in script.splitlines() if row.startswith("server.")]
    ['server.1=10.0.0.1:2888:3888', 'server.2=[fd00::2]:2888:3888']
    """
    addresses = [f"[{member}]" if ":" in member else member for member in members]
    if docker:
        addresses[number - 1] = "0.0.0.0"
    return _WRITE.format(
        number=number,
        count=len(members),
        before="" if docker else _INSTALL,
        data="/data" if docker else "$data",
        servers="\n".join(
            f"server.{at}={address}:2888:3888" for at, address in enumerate(addresses, 1)
        ),
        start=_CONTAINER if docker else _SERVICE,
    )


def _check(members: list[str]) -> None:
    """Refuse what cannot stand in the configuration: too many members, one twice, one that is no
    address; raises SpecError.
    """
    path = "$.Allocation.LogicalIDs"
    if len(members) > MOST:
        raise SpecError(
            f"A ZooKeeper ensemble has at most {MOST} members, not {len(members)}", path=path
        )
    for at, member in enumerate(members):
        if not _ADDRESS.fullmatch(member):
            raise SpecError(
                f"LogicalID '{member}' is not an address",
                path=f"{path}[{at}]",
                expected="an IP address or host name",
            )
        if member in members[:at]:
            raise SpecError(f"LogicalID '{member}' is given to two members", path=f"{path}[{at}]")
