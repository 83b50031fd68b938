"""The tree of errors and their three parts."""

from __future__ import annotations

import pickle

import pytest

from descent import errors
from descent.errors import DataError, DescentError, DeviceError, SettingError


@pytest.mark.parametrize("kind", [DataError, DeviceError, SettingError])
def test_every_error_is_a_descent_error_and_listed(kind: type[DescentError]) -> None:
    assert issubclass(kind, DescentError)
    assert kind.__name__ in errors.__all__
    assert kind.__name__ in (errors.__doc__ or "")


def test_a_message_says_what_where_and_what_to_do() -> None:
    error = DataError("the file is short", where="a/b", todo="copy it again")
    assert str(error) == "the file is short\n  where:  a/b\n  to do:  copy it again"
    assert str(DataError("the file is short")) == "the file is short"


def test_an_error_survives_the_way_between_processes() -> None:
    error = DataError("the file is short", where="a/b", todo="copy it again")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is DataError
    assert str(copy) == str(error)
