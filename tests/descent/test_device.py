"""Which device is picked, and what is refused."""

from __future__ import annotations

import pytest
import torch

from descent.device import pick_device
from descent.errors import DeviceError


def machine(monkeypatch: pytest.MonkeyPatch, *, gpus: int = 0, mps: bool = False, built: str | None = "13.0") -> None:
    """Make PyTorch see this many CUDA devices, or Apple's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", built)


@pytest.mark.parametrize(
    ("gpus", "mps", "best"), [(1, True, "cuda"), (2, False, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_the_best_device_is_picked(monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, best: str) -> None:
    machine(monkeypatch, gpus=gpus, mps=mps)
    assert pick_device() == torch.device(best)


@pytest.mark.parametrize("asked", ["cpu", "cuda", "cuda:1", "mps", " CPU "])
def test_the_environment_overrides_the_choice(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    machine(monkeypatch, gpus=2, mps=True)
    monkeypatch.setenv("DESCENT_DEVICE", asked)
    assert pick_device() == torch.device(asked.strip().lower())


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    machine(monkeypatch, gpus=1)
    monkeypatch.setenv("DESCENT_DEVICE", empty)
    assert pick_device() == torch.device("cuda")


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda 0", "tpu", "cpu:0:0", "meta"])
def test_an_unknown_device_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    machine(monkeypatch, gpus=1)
    monkeypatch.setenv("DESCENT_DEVICE", asked)
    with pytest.raises(DeviceError) as caught:
        pick_device()
    assert caught.value.what == f"there is no device called {asked!r}"
    assert caught.value.where == "environment variable DESCENT_DEVICE"
    assert "write cpu, mps, cuda" in caught.value.todo


@pytest.mark.parametrize(
    ("asked", "gpus", "built", "why"),
    [
        ("cuda", 0, "13.0", "this PyTorch sees no CUDA GPU"),
        ("cuda:0", 0, None, "this PyTorch was built without CUDA"),
        ("cuda:2", 2, "13.0", "the CUDA devices here are numbered 0 to 1"),
        ("mps", 1, "13.0", "this PyTorch sees no Apple GPU"),
    ],
)
def test_an_absent_device_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: int, built: str | None, why: str
) -> None:
    machine(monkeypatch, gpus=gpus, built=built)
    monkeypatch.setenv("DESCENT_DEVICE", asked)
    with pytest.raises(DeviceError) as caught:
        pick_device()
    assert caught.value.what == f"device '{asked}' is not available: {why}"
    assert "set DESCENT_DEVICE=cpu" in caught.value.todo


def test_a_tensor_can_be_made_on_the_device_of_this_machine() -> None:
    device = pick_device()
    assert torch.zeros(1, device=device).device.type == device.type


@pytest.mark.gpu
def test_cuda_is_picked_where_there_is_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    assert pick_device().type == "cuda"
