"""What the process plugin keeps of an instance in its state file."""

from __future__ import annotations

from ..state_files import InstanceRecord, StateFiles


class ProcessRecord(InstanceRecord, frozen=True, kw_only=True):
    """One instance, its process, and the TCP port that was chosen for it."""

    port: int


ProcessFiles = StateFiles[ProcessRecord]
