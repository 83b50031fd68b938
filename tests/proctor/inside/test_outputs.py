"""Outputs are collected in order, joined, and kept under their caps."""

from __future__ import annotations

import io
from typing import Any

import pytest

from proctor.inside import outputs
from proctor.inside.outputs import Collector, Stream


def display(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


def texts(collector: Collector) -> list[str]:
    return [each.get("text") or each["data"]["text/plain"] for each in collector.finished()]


@pytest.fixture
def collector() -> Collector:
    return Collector()


def test_pieces_of_one_stream_become_one_output(collector: Collector) -> None:
    for name, text in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d"), ("stdout", "")]:
        collector.write(name, text)
    assert texts(collector) == ["ab", "c", "d"]


def test_a_display_stands_between_the_prints_around_it(collector: Collector) -> None:
    collector.write("stdout", "a")
    collector.show(display("x"))
    collector.write("stdout", "b")
    assert texts(collector) == ["a", "x", "b"]


def test_an_update_takes_the_place_of_its_display(collector: Collector) -> None:
    collector.show(display("x"), display_id="one")
    collector.show(display("y"), display_id="two")
    collector.show(display("z"), display_id="one", update=True)
    collector.show(display("lost"), display_id="three", update=True)
    assert texts(collector) == ["z", "y"]


def test_clearing_now_and_clearing_later(collector: Collector) -> None:
    collector.show(display("x"), display_id="one")
    collector.clear(wait=True)
    assert texts(collector) == ["x"]
    collector.write("stdout", "a")
    assert texts(collector) == ["a"]
    collector.show(display("z"), display_id="one", update=True)
    assert texts(collector) == ["a"], "what was cleared cannot be updated"
    collector.clear(wait=False)
    assert texts(collector) == []


def test_restarting_forgets_everything(collector: Collector) -> None:
    collector.write("stdout", "a" * (outputs.TEXT_CAP + 1))
    collector.clear(wait=True)
    collector.restart()
    collector.write("stdout", "b")
    assert texts(collector) == ["b"]


def test_text_over_the_cap_is_counted_and_left_out(collector: Collector) -> None:
    collector.write("stdout", "a" * (outputs.TEXT_CAP - 1))
    collector.write("stderr", "bcd")
    collector.write("stdout", "e")
    first, second, note = texts(collector)
    assert (len(first), second) == (outputs.TEXT_CAP - 1, "b")
    assert note == "\n… 3 more characters or outputs were left out\n"


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "x" * (outputs.DATA_CAP + 1)},
        {"application/json": {"a": ["x" * outputs.DATA_CAP]}},
        {"application/json": [0] * outputs.DATA_CAP},
    ],
)
def test_a_display_over_the_cap_is_left_out_and_smaller_ones_are_shown(collector: Collector, data: Any) -> None:
    collector.show({"output_type": "display_data", "data": data, "metadata": {}})
    collector.show(display("x"))
    assert texts(collector) == ["x", "\n… 1 more characters or outputs were left out\n"]


def test_updates_count_once(collector: Collector) -> None:
    large = "x" * (outputs.DATA_CAP // 2)
    collector.show(display(large), display_id="one")
    for number in range(9):
        collector.show(display(large + str(number)), display_id="one", update=True)
    assert texts(collector) == [large + "8"]


def test_there_are_only_so_many_outputs(collector: Collector) -> None:
    for _ in range(outputs.COUNT_CAP):
        collector.write("stdout", "a")
        collector.write("stderr", "b")
        collector.show(display("x"))
    assert len(collector.finished()) == outputs.COUNT_CAP + 1


def test_a_stream_is_one_for_python() -> None:
    written: list[tuple[str, str]] = []
    stream = Stream("stderr", lambda name, text: written.append((name, text)))
    assert isinstance(stream, io.TextIOBase)
    print("a", 1, file=stream, flush=True)
    assert "".join(text for _, text in written) == "a 1\n"
    assert {name for name, _ in written} == {"stderr"}
    assert (stream.writable(), stream.readable(), stream.isatty(), stream.fileno()) == (True, False, False, 2)
    with pytest.raises(TypeError, match="must be str, not bytes"):
        stream.write(b"x")  # type: ignore[arg-type]
