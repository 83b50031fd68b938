"""Hands each test its numbered cases, and says at the end of a run how they came out."""

from __future__ import annotations

import pytest

from .cases import Cases, Settings, Tally, settings

SETTINGS = pytest.StashKey[Settings]()
TALLIES = pytest.StashKey[dict[str, Tally]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SETTINGS] = settings()
    config.stash[TALLIES] = {}


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> Cases:
    """The numbered cases of a test."""
    name = request.node.name
    tally = request.config.stash[TALLIES].setdefault(name, Tally())
    return Cases(request.config.stash[SETTINGS], request.node.nodeid, tally)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tallies = {name: tally for name, tally in config.stash[TALLIES].items() if tally.outcomes}
    if not tallies:
        return
    terminalreporter.section(f"fuzzing, FUZZ_SEED={config.stash[SETTINGS].seed}")
    for name, tally in tallies.items():
        for line in tally.lines(name):
            terminalreporter.write_line(line)
