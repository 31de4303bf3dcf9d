"""The child that parses untrusted files: it is stopped, it leaves nothing behind, and what it says is not repeated."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from riskmodels.errors import InputError
from riskmodels.survey.readers import Limits, read_source, worker
from tests.survey.reader_files import CANARY, DECLARED, write_sav

FAKES = {
    "hangs": "import time; time.sleep(60)",
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "babbles": "import sys; sys.stdout.write('CANARY-7f3a' * 999); sys.stderr.write('CANARY-7f3a')",
    "fails": "raise RuntimeError('CANARY-7f3a')",
    "half": "import sys; sys.stdout.buffer.write(b'\\xff\\xff\\xff\\xff\\x10\\x00\\x00\\x00')",
    "says nothing": "",
}


@pytest.mark.parametrize("fake", sorted(FAKES))
def test_whatever_the_child_does_is_an_input_error(
    tmp_path: Path, fake: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_sav(tmp_path / "s.sav")
    script = tmp_path / "fake.py"
    script.write_text(FAKES[fake])
    monkeypatch.setattr(worker, "__file__", str(script))
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_source(path, limits=Limits(seconds=1.0))
    assert time.monotonic() - started < 5
    assert [problem.code for problem in caught.value.problems] == ["E190"]
    assert ("did not end within 1 seconds" in str(caught.value)) == (fake == "hangs")
    assert CANARY not in str(caught.value) + "".join(capfd.readouterr())


def test_a_file_that_claims_billions_of_rows(tmp_path: Path) -> None:
    path = write_sav(tmp_path / "s.sav")
    data = bytearray(path.read_bytes())
    data[80:84] = struct.pack("<i", 2**31 - 1)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="E190"):
        read_source(path)


def test_memory_is_limited(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E190"):
        read_source(write_sav(tmp_path / "s.sav"), limits=Limits(address_bytes=60 * 2**20))


def test_time_grows_with_the_file() -> None:
    assert Limits().seconds_for(0) == 120
    assert Limits().seconds_for(2**30) == 720


def test_limits_are_set_in_the_child() -> None:
    """No core dump, no file written, memory and processor time bounded."""
    code = (
        f"import runpy, resource; w = runpy.run_path({worker.__file__!r}); w['limit_resources'](5, 2**31);"
        "print([resource.getrlimit(k)[0] for k in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS,"
        "resource.RLIMIT_CPU)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([0, 0, 2**31, 6])


def test_nothing_is_written_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.chdir(folder)
    assert len(read_source(write_sav(tmp_path / "s.sav"), DECLARED).columns) == 3
    assert list(folder.iterdir()) == []


def test_the_working_directory_lends_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyarrow.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert len(read_source(write_sav(tmp_path / "s.sav"), DECLARED).columns) == 3


def test_the_child_imports_nothing_of_ours_and_no_pandas(tmp_path: Path) -> None:
    path = write_sav(tmp_path / "s.sav")
    request = {"path": str(path), "format": "sav", "columns": ["age"], "rows": True, "encoding": None}
    code = (
        f"import io, runpy, sys; w = runpy.run_path({worker.__file__!r}); w['answer']({request!r}, io.BytesIO());"
        "print([m for m in ('riskmodels', 'pandas', 'duckdb', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_interrupt_ends_the_child(tmp_path: Path) -> None:
    path = write_sav(tmp_path / "s.sav")
    noted = tmp_path / "child"
    fake = tmp_path / "fake.py"
    fake.write_text(
        f"import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs\n"
        "from riskmodels.survey.readers import read_source, worker\n"
        f"worker.__file__ = {str(fake)!r}\nread_source({str(path)!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as parent:
        deadline = time.monotonic() + 30
        while not (noted.exists() and noted.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int(noted.read_text())
        parent.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in parent.communicate(timeout=20)[1]
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
