"""Where data sets are looked for, what is refused, and what a download leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from descent.data import files
from descent.data.files import Folder, cache_folder, locate, read, tell, verify
from descent.errors import DataError, SettingError

CONTENT = b"to be or not to be"
MD5 = hashlib.md5(CONTENT).hexdigest()


def fetch_nothing(_: Path) -> None:
    raise AssertionError("nobody asked for a download")


def fetch_well(root: Path) -> None:
    put(root)


def put(place: Path, content: bytes = CONTENT, *, name: str = "one") -> Path:
    """Write one file of the data set below a place, and return its path."""
    path = place / "some" / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def folder(fetch: Callable[[Path], None] = fetch_nothing) -> Folder:
    return Folder("The Set", "some/set", {"one": MD5}, fetch)


def everything_below(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def test_root_comes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, data = tmp_path / "root", tmp_path / "data"
    monkeypatch.setenv("DESCENT_DATA", str(data))
    for place in (root, data, cache_folder()):
        put(place)
    assert locate(folder(), root=root, download=None) == root / "some/set"
    assert locate(folder(), root=None, download=None) == data / "some/set"
    put(tmp_path / "empty", name="other")
    assert locate(folder(), root=tmp_path / "empty", download=None) == data / "some/set"
    monkeypatch.delenv("DESCENT_DATA")
    assert locate(folder(), root=None, download=None) == cache_folder() / "some/set"


def test_nothing_is_found_where_nothing_is() -> None:
    assert locate(folder(), root=None, download=None) is None


def test_a_folder_that_may_not_be_entered_counts_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    put(cache_folder())
    monkeypatch.setattr(Path, "is_file", refuse)
    assert locate(folder(), root=None, download=None) is None


def test_a_data_set_that_is_there_is_not_downloaded(tmp_path: Path) -> None:
    put(tmp_path)
    assert locate(folder(), root=tmp_path, download=True) == tmp_path / "some/set"


@pytest.mark.parametrize("where", ["argument root", "environment variable DESCENT_DATA"])
def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    absent = tmp_path / "absent"
    if "DESCENT_DATA" in where:
        monkeypatch.setenv("DESCENT_DATA", str(absent))
    with pytest.raises(SettingError) as caught:
        locate(folder(), root=None if "DESCENT_DATA" in where else absent, download=None)
    assert caught.value.what == f"there is no folder '{absent}'"
    assert caught.value.where == where
    assert "name an existing folder" in caught.value.todo


@pytest.mark.parametrize(
    ("setting", "argument", "fetched"), [("1", None, True), ("0", True, True), ("1", False, False)]
)
def test_the_argument_overrides_the_setting(
    monkeypatch: pytest.MonkeyPatch, setting: str, argument: bool | None, fetched: bool
) -> None:
    monkeypatch.setenv("DESCENT_DOWNLOAD", setting)
    assert (locate(folder(fetch_well), root=None, download=argument) is not None) is fetched


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCENT_DOWNLOAD", "maybe")
    with pytest.raises(SettingError, match=r"DESCENT_DOWNLOAD is 'maybe'(.|\n)*write 1 for yes or 0 for no"):
        locate(folder(), root=None, download=None)


def test_a_download_lands_in_the_cache_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("DESCENT_DATA", str(data))
    assert locate(folder(fetch_well), root=None, download=True) == cache_folder() / "some/set"
    assert everything_below(tmp_path) == [cache_folder() / "some/set/one"]


def fetch_without_network(_: Path) -> None:
    raise OSError("Network is unreachable")


def fetch_a_web_page(root: Path) -> None:
    put(root, b"<html>Please log in</html>")


def fetch_half(root: Path) -> None:
    put(root, CONTENT[:5])


@pytest.mark.parametrize(
    ("fetch", "why"),
    [
        (fetch_without_network, "Network is unreachable"),
        (fetch_a_web_page, "'one' is not the published file"),
        (fetch_half, "its 5 bytes have MD5"),
        (lambda root: (root / "some/set").mkdir(parents=True), "'one' is missing"),
    ],
)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(fetch: Callable[[Path], None], why: str) -> None:
    with pytest.raises(DataError) as caught:
        locate(folder(fetch), root=None, download=True)
    assert caught.value.what.startswith("The Set could not be downloaded: ")
    assert why in caught.value.what
    assert caught.value.where == str(cache_folder() / "some/set")
    assert "set DESCENT_DATA to a folder that has it" in caught.value.todo
    assert list(cache_folder().iterdir()) == []


def test_an_interrupted_download_leaves_nothing() -> None:
    def fetch_and_be_interrupted(root: Path) -> None:
        put(root, CONTENT[:5])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        locate(folder(fetch_and_be_interrupted), root=None, download=True)
    assert list(cache_folder().iterdir()) == []


def test_a_process_that_was_faster_does_no_harm() -> None:
    def fetch_slowly(root: Path) -> None:
        put(root)
        put(cache_folder())  # meanwhile, by somebody else

    found = locate(folder(fetch_slowly), root=None, download=True)
    assert found is not None
    assert read(found / "one") == CONTENT


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="The Set could not be downloaded"):
        locate(folder(fetch_well), root=None, download=True)


def test_a_packed_file_is_read_in_place(tmp_path: Path) -> None:
    path = put(tmp_path, gzip.compress(CONTENT), name="one.gz")
    assert locate(folder(), root=tmp_path, download=None) == path.parent
    assert read(path.with_name("one")) == CONTENT
    assert everything_below(tmp_path) == [path]


def test_an_unpacked_file_comes_before_a_packed_one(tmp_path: Path) -> None:
    put(tmp_path, gzip.compress(b"old"), name="one.gz")
    assert read(put(tmp_path)) == CONTENT


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (gzip.compress(CONTENT)[:-9], "Compressed file ended before"),
        (b"<html>Please log in</html>", "Not a gzipped file"),
        (gzip.compress(CONTENT)[:-8] + bytes(8), "CRC check failed"),
    ],
)
def test_a_damaged_packed_file_is_refused_by_name(tmp_path: Path, packed: bytes, why: str) -> None:
    path = put(tmp_path, packed, name="one.gz")
    with pytest.raises(DataError) as caught:
        read(path.with_name("one"))
    assert caught.value.what.startswith(f"'one.gz' does not unpack: {why}")
    assert caught.value.where == str(path)
    assert "replace it by a good copy" in caught.value.todo


def test_a_packed_file_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LIMIT", 1000)
    path = put(tmp_path, gzip.compress(bytes(2000)), name="one.gz")
    with pytest.raises(DataError, match=r"'one.gz' unpacks to more than 1,000 bytes"):
        read(path.with_name("one"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "some/set/two")
    assert caught.value.what == "'two' is missing, though others of its data set are there"
    assert caught.value.where == str(tmp_path / "some/set")
    assert "add it, or remove the others" in caught.value.todo


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = put(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"'one' cannot be read: \[Errno 13\] Permission denied"):
        read(path)


def test_a_wrong_sum_names_the_file_and_both_sums() -> None:
    other = hashlib.md5(b"else").hexdigest()
    with pytest.raises(DataError) as caught:
        verify(b"else", md5=MD5, path=Path("some/set/one"))
    assert caught.value.what == f"'one' is not the published file: its 4 bytes have MD5 {other}, expected {MD5}"
    verify(CONTENT, md5=MD5, path=Path("some/set/one"))


@pytest.mark.parametrize(
    ("platform", "xdg", "place"),
    [
        ("linux", "", ".cache/descent"),
        ("darwin", "", "Library/Caches/descent"),
        ("win32", "", "AppData/Local/descent"),
        ("darwin", "elsewhere", "elsewhere/descent"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, xdg: str, place: str
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / xdg) if xdg else "")
    assert cache_folder() == tmp_path / place


def test_an_account_without_a_home_has_a_cache_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().name == "descent"


def read_by_a_person(monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False, kernel: bool = False) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", pytest)


@pytest.mark.parametrize(
    ("terminal", "kernel", "quiet", "seen"),
    [
        (True, False, "", True),
        (False, True, "0", True),
        (False, False, "", False),
        (True, True, "1", False),
    ],
)
def test_a_line_is_told_once_to_a_person_who_wants_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    kernel: bool,
    quiet: str,
    seen: bool,
) -> None:
    read_by_a_person(monkeypatch, terminal=terminal, kernel=kernel)
    monkeypatch.setenv("DESCENT_QUIET", quiet)
    tell("digits stand in")
    tell("digits stand in")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "descent: digits stand in\n" * seen
