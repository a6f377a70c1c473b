"""Play many schedules: ``python -m simulation.run --seeds 0-9999`` (with ``PYTHONPATH=tests``), or
one of them with its story.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from .play import play
from .schedule import draw


def numbers(text: str) -> range:
    """Return the numbers that a text such as ``7`` or ``0-999`` names."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def broken(seed: int) -> tuple[int, list[str], int]:
    """Play the schedule of a number; return the number, what it broke, and how many commands were
    answered.
    """
    played = play(draw(seed))
    return seed, played.wrong, played.answered


def main() -> int:
    """Play the schedules that were asked for; exit with 1 if any broke something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds",
        default=os.environ.get("IKDEMO_SEED", "0-999"),
        help="one number, or the first and the last",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--show", type=int, default=20, help="how many failures are shown")
    asked = parser.parse_args()
    seeds = numbers(asked.seeds)
    if len(seeds) == 1:
        return tell_one(seeds[0])
    began, answered, failures, kinds = time.monotonic(), 0, 0, Counter[str]()
    with multiprocessing.Pool(asked.jobs) as pool:
        for seed, wrong, commands in pool.imap(broken, seeds, chunksize=8):
            answered += commands
            if wrong:
                failures += 1
                kinds[" ".join(wrong[0].split(": ", 1)[1].split()[:6])] += 1
                if failures <= asked.show:
                    more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
                    print(f"IKDEMO_SEED={seed}: {wrong[0][:300]}{more}", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{len(seeds)} schedules with {answered} commands in {seconds:.1f} s: {failures} broke "
        "a promise"
    )
    for kind, times in kinds.most_common(30):
        print(f"{times:7}  {kind} ...")
    return 1 if failures else 0


def tell_one(seed: int) -> int:
    """Play one schedule and print its story."""
    schedule = draw(seed)
    print(schedule)
    played = play(schedule)
    print("\n".join(played.trace))
    print("\n".join(played.wrong) or "nothing is wrong")
    return 1 if played.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
