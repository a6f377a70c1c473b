"""What the process plugin does when called: real processes begin, are described, print, end, and
leave nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lasting import FOREVER, Ear, printed, run, spec
from marked import marked
from msgspec import UNSET, Raw

from ikdemo.instance import output, procfs, state_files
from ikdemo.instance.process import process_group
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.instance.process.process_record import ProcessRecord
from ikdemo.instance.process.spawn import LONGEST
from ikdemo.spi.decode import encode
from ikdemo.spi.documents import Description, InstanceSpec
from ikdemo.spi.errors import PluginFailure, SpecError


def pid_of(directory: Path, instance: str) -> int:
    return int(json.loads((directory / f"{instance}.json").read_text())["Pid"])


def left(directory: Path) -> list[int]:
    return marked(directory)


@asynccontextmanager
async def plugin(directory: Path, **options: Any) -> AsyncIterator[tuple[ProcessInstances, Ear]]:
    made, ear = ProcessInstances(directory, takes_along=True, **options), Ear()
    await made.start(ear)
    try:
        yield made, ear
    finally:
        await made.stop()


def test_an_instance_knows_who_it_is_and_where_to_listen(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            script = f'echo "$INSTANCE_ID|$SLOT|$GROUP|$PORT|$COLOUR|$PWD"; {FOREVER}'
            instance = await made.provision(
                spec(script, Env={"COLOUR": "red", "PORT": "1"}, Cwd="/usr"), "3"
            )
            [described] = await made.describe_instances({"infrakit.group": "g"}, slots=True)
            tags = described.tags or {}
            assert (described.id, described.slot, described.logical_id) == (instance, "3", None)
            assert await printed(made, instance, 1) == [f"{instance}|3|g|{tags['port']}|red|/usr"]
            assert await made.describe_instances({"port": "1"}) == []
            assert procfs.environment(int(tags["pid"]))[b"INSTANCE_ID"] == instance.encode()
            assert await made.describe_instances({}) == [Description(instance, None, tags)]
            assert (await ear.next("provisioned")).slot == "3"

    run(story)


def test_an_empty_slot_is_none_and_one_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            first = await made.provision(spec(FOREVER), "")
            assert await made.provision(spec(FOREVER), "") != first
            with pytest.raises(SpecError, match=r"^\$\.Slot: expected at most 128 characters"):
                await made.provision(spec(FOREVER), "1" * 10)
            assert [
                described.slot for described in await made.describe_instances({}, slots=True)
            ] == [UNSET, UNSET]

    run(story)


def test_a_slot_is_filled_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            first = await made.provision(spec(FOREVER), "0")
            assert await made.provision(spec(FOREVER), "0") == first
            with pytest.raises(PluginFailure, match=f"occupied by {first}"):
                await made.provision(spec(FOREVER, sha="other"), "0")
            assert await made.provision(spec(FOREVER), "1") != first
            assert len(left(tmp_path / "p")) == 2

    run(story)


def test_no_two_instances_share_a_port(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            for _ in range(20):
                await made.provision(spec(FOREVER))
            ports = {(one.tags or {})["port"] for one in await made.describe_instances({})}
            assert len(ports) == 20

    run(story)


def test_ports_that_somebody_listens_on_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            taken = held.getsockname()[1]
            monkeypatch.setattr("ikdemo.instance.common.PORTS", range(taken, taken + 1))
            async with plugin(tmp_path / "p") as (made, _):
                with pytest.raises(PluginFailure, match="no port is free"):
                    await made.provision(spec(FOREVER))

    run(story)


def test_the_end_of_a_process_is_told_at_once_with_its_status_and_its_last_words(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            instance = await made.provision(spec("echo 'no such file: x' >&2; exit 3"), "0")
            event = await ear.next("lost")
            assert (event.instance, event.slot, event.group, event.code) == (
                instance,
                "0",
                "g",
                "died",
            )
            assert event.text.startswith("exited with status 3 after")
            assert event.text.endswith("it said last: no such file: x")
            assert await made.describe_instances({}) == []
            assert await made.logs(instance) == ["no such file: x"]
            assert list((tmp_path / "p").iterdir()) == []
            with pytest.raises(PluginFailure, match="is no instance here"):
                await made.destroy(instance)

    run(story)


def test_a_signal_from_outside_may_be_the_command_s_own_doing_only_at_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            for beginning, code in ((60.0, "early"), (0.0, "killed")):
                monkeypatch.setattr(process_group, "EARLY", beginning)
                os.kill(
                    pid_of(tmp_path / "p", await made.provision(spec(FOREVER), "0")), signal.SIGKILL
                )
                event = await ear.next("lost")
                assert event.code == code
                assert event.text.startswith("was ended by SIGKILL")
            os.kill(
                pid_of(tmp_path / "p", await made.provision(spec(FOREVER), "0")), signal.SIGSEGV
            )
            assert (await ear.next("lost")).code == "died"
            # the shell passes it on as its status
            await made.provision(spec("sleep 1000 & kill -TERM $!; wait $!"), "0")
            event = await ear.next("lost")
            assert event.code == "killed"
            assert event.text.startswith("exited with status 143")

    run(story)


FAMILY = (
    "sleep 1000 & (trap '' TERM; sleep 1000; sleep 1000) & sh -c 'sleep 1000; true' & echo ready; "
)


@pytest.mark.parametrize(
    "ending", ["wait", "exec sleep 1000", "trap '' TERM; while :; do sleep 1; done"]
)
def test_nothing_of_a_group_is_left_after_destroy(tmp_path: Path, ending: str) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", grace=0.3) as (made, ear):
            instance = await made.provision(spec(FAMILY + ending), "0")
            await printed(made, instance, 1)
            pid = pid_of(tmp_path / "p", instance)
            assert len(procfs.members(pid, procfs.start_of(pid))) >= 4
            await asyncio.gather(made.destroy(instance), made.destroy(instance))
            assert left(tmp_path / "p") == []
            assert procfs.stat(pid) is None, "a zombie is left"
            assert (await ear.next("destroyed")).instance == instance
            assert list((tmp_path / "p").iterdir()) == []

    run(story)


def test_children_die_with_a_leader_that_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, ear):
            instance = await made.provision(spec(FAMILY + "wait"), "0")
            await printed(made, instance, 1)
            os.kill(pid_of(tmp_path / "p", instance), signal.SIGKILL)
            await ear.next("lost")
            async with asyncio.timeout(100):
                while left(tmp_path / "p"):  # noqa: ASYNC110  the dead of a group are told to nobody
                    await asyncio.sleep(0.01)

    run(story)


def test_a_stopped_process_is_destroyed_well_within_the_grace_time(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", grace=3600.0) as (made, _):
            instance = await made.provision(spec(FOREVER))
            os.kill(pid_of(tmp_path / "p", instance), signal.SIGSTOP)
            await made.destroy(instance)
            assert left(tmp_path / "p") == []

    run(story)


def test_a_destroy_goes_on_when_its_caller_goes_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", grace=0.2) as (made, ear):
            instance = await made.provision(
                spec("trap '' TERM; echo ready; while :; do sleep 1; done"), "0"
            )
            await printed(made, instance, 1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await made.destroy(instance)
            with pytest.raises(PluginFailure, match="occupied by"):
                await made.provision(spec(FOREVER), "0")
            await ear.next("destroyed")
            assert left(tmp_path / "p") == []

    run(story)


def test_output_is_kept_and_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            script = (
                "i=0; while [ $i -lt 40000 ]; do echo line $i of many; i=$((i+1)); done; "
                f"printf '\\377\\n'; echo done; {FOREVER}"
            )
            instance = await made.provision(spec(script))
            file = tmp_path / "p" / f"{instance}.log"
            async with asyncio.timeout(100):
                while (  # noqa: ASYNC110
                    await made.logs(instance, 1)
                ) != ["done"] or file.stat().st_size > output.KEPT:
                    await asyncio.sleep(0.02)
            assert await made.logs(instance, 3) == ["line 39999 of many", "\ufffd", "done"]
            assert len("\n".join(await made.logs(instance))) <= output.KEPT
            with pytest.raises(PluginFailure, match="is no instance here"):
                await made.logs("instance-1")

    run(story)


def test_an_output_stays_short_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so that it is the kernel's word that counts
    monkeypatch.setattr("ikdemo.instance.output_limit.EVERY", 600.0)

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            # a process for each 128 KiB: it lasts long enough, and costs little
            times, piece = 500, 2**17
            written, script = (
                times * piece,
                f"for n in $(seq {times}); do head -c {piece} /dev/zero",
            )
            instance = await made.provision(spec(f"{script}; done; echo; echo done; {FOREVER}"))
            file, longest = tmp_path / "p" / f"{instance}.log", 0
            async with asyncio.timeout(100):
                while (await made.logs(instance, 1)) != ["done"]:
                    longest = max(longest, file.stat().st_size)
                    await asyncio.sleep(0.001)
            assert longest > 0
            assert longest < written / 2, "nobody cut it before it was nearly all there"

    run(story)


def test_an_output_is_cut_where_the_kernel_notices_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("ikdemo.instance.output_limit.Notices", none)

    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            instance = await made.provision(spec(f"head -c {4 * output.KEPT} /dev/zero; {FOREVER}"))
            file = tmp_path / "p" / f"{instance}.log"
            async with asyncio.timeout(100):
                while file.stat().st_size != output.KEPT // 2:  # noqa: ASYNC110  a file tells nobody that it shrank
                    await asyncio.sleep(0.01)

    run(story)


def test_the_pid_of_an_instance_is_a_tag_unless_its_spec_has_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            first = await made.provision(InstanceSpec(Raw(b"{}"), {"infrakit.group": "g"}, FOREVER))
            second = await made.provision(
                InstanceSpec(Raw(b"{}"), {"infrakit.group": "g", "pid": "mine"}, FOREVER)
            )
            tags = {one.id: one.tags or {} for one in await made.describe_instances({})}
            os.kill(int(tags[first]["pid"]), 0)
            assert tags[second]["pid"] == "mine"

    run(story)


def test_what_is_written_down_can_be_read_again_and_more_is_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(state_files, "LIMIT", 5000)
        made, ear = ProcessInstances(tmp_path / "p"), Ear()
        await made.start(ear)
        room = 5000 - len(
            encode(
                record_with(
                    {"pid": str(2**31 - 1), "port": "20000", "infrakit.group": "g", "k": ""}
                )
            )
        )
        fits, over = (
            InstanceSpec(Raw(b"{}"), {"infrakit.group": "g", "k": "v" * (room + n)}, FOREVER)
            for n in (-20, 20)
        )
        with pytest.raises(SpecError, match="no more than 5000 are read again"):
            await made.provision(over)
        assert (list((tmp_path / "p").iterdir()), left(tmp_path / "p")) == ([], [])
        instance = await made.provision(fits)
        await made.stop()
        again = ProcessInstances(tmp_path / "p", takes_along=True)
        await again.start(ear)
        assert [one.id for one in await again.describe_instances({})] == [instance]
        await again.stop()
        assert left(tmp_path / "p") == []

    run(story)


def record_with(tags: dict[str, str]) -> ProcessRecord:
    return ProcessRecord(
        f"instance-{2**62}", 1, 0, procfs.boot(), time.time(), None, tags, port=20000
    )


def test_the_age_of_an_instance_is_not_a_matter_of_the_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        for hours in (1, -1):
            made, ear = ProcessInstances(tmp_path / "p"), Ear()
            await made.start(ear)
            await made.provision(spec("read x < /dev/null; sleep 0.1; exit 3"), "0")
            real = time.time
            monkeypatch.setattr(time, "time", lambda real=real, hours=hours: real() + 3600 * hours)
            event = await ear.next("lost")
            assert 0 <= float(event.text.split(" after ")[1].split()[0]) < 600, event.text
            await made.provision(spec(FOREVER), "0")
            pid = pid_of(tmp_path / "p", (await made.describe_instances({}))[0].id)
            await made.stop()
            made = ProcessInstances(tmp_path / "p")
            monkeypatch.setattr(process_group, "EARLY", 600.0)
            monkeypatch.setattr(time, "time", real)
            await made.start(ear)
            os.kill(pid, signal.SIGKILL)
            assert (await ear.next("lost")).code == "early"
            await made.stop()

    run(story)


def test_limits_on_number_and_memory_hold(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p", most=2) as (made, ear):
            python = ["python3", "-c", "b = bytearray(300 << 20); print('had it')"]
            await made.provision(spec(Command=python, Memory="64M"))
            assert "MemoryError" in (await ear.next("lost")).text
            await made.provision(spec(Command=python, Memory="1G"))
            assert "had it" in (await ear.next("lost")).text
            await made.provision(spec(FOREVER))
            await made.provision(spec(FOREVER))
            with pytest.raises(PluginFailure, match="no more than 2 may be"):
                await made.provision(spec(FOREVER))

    run(story)


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({"Command": []}, r"\$.Properties.Command: expected a program"),
        ({"Command": "sleep 1"}, r"\$.Properties.Command: expected a list"),
        ({"Command": ["sleep", 1]}, r"\$.Properties.Command\[1\]: expected a string"),
        ({"Env": {"A=B": "c"}}, "cannot be a variable's name"),
        ({"Env": {"A": "c\0"}}, "NUL"),
        (
            {"Command": ["true", "x" * LONGEST, "y" * (LONGEST + 1)]},
            r"\$.Properties.Command: argument list too long",
        ),
        ({"Env": {"A": "x" * LONGEST}}, r"\$.Properties.Env.A: argument list too long"),
        (
            {"Init": "sleep 1"},
            r"\$.Properties.Init: no such member is known.*; Init belongs to .* the flavor",
        ),
        (
            {"Comand": ["true"]},
            r"\$.Properties.Comand: no such member is known, expected one of Command, Cwd, "
            r"Env, Memory",
        ),
        (
            {"Memory": "lots"},
            r"\$.Properties.Memory: expected an amount such as 64M or 1G, got 'lots'",
        ),
        ([], "expected an object"),
    ],
)
def test_properties_that_nothing_can_be_started_from_are_refused(
    tmp_path: Path, properties: Any, sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        asyncio.run(ProcessInstances(tmp_path).validate(Raw(json.dumps(properties).encode())))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            spec(Command=["no-such-program-here"]),
            "cannot run no-such-program-here: there is no such program",
        ),
        (spec(FOREVER, Cwd="/no/such/place"), "cannot run in /no/such/place"),
        (spec(Command=["/etc/passwd"]), "cannot run /etc/passwd"),
        (
            spec(Command=["\x1b[2J" + "n" * 5000]),
            r"cannot run \\x1b\[2Jn{96}\.\.\.: there is no such program$",
        ),
        (spec(), "neither Properties.Command nor an Init"),
        (spec("x" * 3_000_000), "cannot run sh: argument list too long"),
        (spec("x" * (LONGEST + 1)), "cannot run sh: argument list too long"),
        (spec(Command=["sh", *["x" * LONGEST] * 100]), "cannot run sh: argument list too long"),
    ],
)
def test_what_cannot_be_started_is_said_and_leaves_nothing(
    tmp_path: Path, wrong: InstanceSpec, sentence: str
) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            with pytest.raises(SpecError, match=sentence):
                await made.provision(wrong)
            assert await made.describe_instances({}) == []
        assert list((tmp_path / "p").iterdir()) == []

    run(story)


def test_a_process_that_cannot_be_registered_does_not_stay(tmp_path: Path) -> None:
    async def story() -> None:
        async with plugin(tmp_path / "p") as (made, _):
            (tmp_path / "p").rename(tmp_path / "q")
            (tmp_path / "q").rmdir()
            with pytest.raises(PluginFailure):
                await made.provision(spec(FOREVER))
            assert left(tmp_path / "p") == []

    run(story)
