"""Cases by number: each has a generator of its own, drawn from the seed of the run, and can be run again alone."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Case", "Cases", "Tally", "settings"]

ORDINARY = 300  # cases of each kind: the whole folder takes 20 s on a slow core
FIXED = 20260301  # seed of the ordinary run, which must be the same each time
MOST_REASONS = 12  # reasons that a summary names
REPLACED = re.compile(r"'[^']*'|\d[\d,.]*")  # what differs between two refusals for one reason


@dataclass(frozen=True)
class Settings:
    """What a run was told, by its environment."""

    count: int  # cases of each kind
    seed: int
    only: int | None  # number of the one case to run


def settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read `FUZZ_CASES`, `FUZZ_SEED` and `FUZZ_ONLY`: a run of another size draws a new seed unless it is told one."""
    is_ordinary = not environment.get("FUZZ_CASES")
    drawn = FIXED if is_ordinary else random.SystemRandom().randrange(10**9)
    only = environment.get("FUZZ_ONLY")
    return Settings(
        int(environment.get("FUZZ_CASES") or ORDINARY),
        int(environment.get("FUZZ_SEED") or drawn),
        int(only) if only else None,
    )


@dataclass
class Tally:
    """How the cases of one test came out."""

    outcomes: Counter[str] = field(default_factory=Counter)  # such as "judged"
    reasons: Counter[str] = field(default_factory=Counter)  # of refusals

    def lines(self, name: str) -> Iterator[str]:
        """Yield a summary: one line of counts, then the reasons, the most frequent first."""
        counts = ", ".join(f"{outcome} {count:,}" for outcome, count in self.outcomes.most_common())
        yield f"{name}: {self.outcomes.total():,} cases: {counts}"
        for reason, count in self.reasons.most_common(MOST_REASONS):
            yield f"  {count:7,}  {reason}"
        if others := self.reasons.most_common()[MOST_REASONS:]:
            yield f"  {sum(count for _, count in others):7,}  for {len(others)} other reasons"


@dataclass(frozen=True)
class Case:
    """One case: its generator, and where its outcome is counted."""

    number: int
    rng: random.Random
    tally: Tally

    def count(self, outcome: str, reason: str = "") -> None:
        """Count how the case came out; a reason without the names and numbers in it."""
        self.tally.outcomes[outcome] += 1
        if reason:
            self.tally.reasons[REPLACED.sub("…", reason)] += 1


@dataclass(frozen=True)
class Cases:
    """The cases of one test."""

    settings: Settings
    node: str  # the test's id, which pytest takes to run it alone
    tally: Tally

    def each(self, *, one_in: int = 1) -> Iterator[Case]:
        """Yield the cases.

        Args:
            one_in: how many cases one of these stands for: those that start a process are fewer.
        """
        only, count = self.settings.only, max(self.settings.count // one_in, 1)
        for number in range(count) if only is None else (only,):
            yield Case(number, random.Random(f"{self.settings.seed}/{self.node}/{number}"), self.tally)

    def again(self, number: int) -> str:
        """Return how to run one case alone."""
        command = f"FUZZ_SEED={self.settings.seed} FUZZ_ONLY={number} python -m pytest '{self.node}'"
        return f"case {number} of seed {self.settings.seed}; run it again: {command}"

    @contextmanager
    def running(self, case: Case) -> Iterator[None]:
        """Add to whatever goes wrong inside how to run just this case again."""
        try:
            yield
        except BaseException as error:
            error.add_note(self.again(case.number))
            raise
