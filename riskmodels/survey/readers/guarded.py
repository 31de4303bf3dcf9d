"""Untrusted SPSS and Stata files are parsed by a child process with a time and a memory limit.

The parser is C code that meets files from anywhere. The child is a fresh interpreter that runs `worker.py`; its reply comes
through a pipe, so that no answer of a child is ever written to a disk, and what it says on its error stream is thrown away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from riskmodels.errors import InputError, Problem
from riskmodels.survey.readers import worker
from riskmodels.survey.readers.signatures import damaged

GIGABYTE = 2**30
#: One thread each and no arenas reserved ahead: the child is small and starts quickly.
QUIET_LIBRARIES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "PYTHONIOENCODING": "utf-8",
}


@dataclass(frozen=True)
class Limits:
    """How long and how large the child may become.

    Parameters
    ----------
    seconds
        Wall and processor time for a small file.
    seconds_per_gigabyte
        Added for each gigabyte of the file.
    address_bytes
        Address space (not enforced where the system has no such limit: Windows, macOS).
    """

    seconds: float = 120.0
    seconds_per_gigabyte: float = 600.0
    address_bytes: int = 4 * GIGABYTE

    def seconds_for(self, size: int) -> float:
        """Time allowed for a file of `size` bytes."""
        return self.seconds + self.seconds_per_gigabyte * size / GIGABYTE


DEFAULT_LIMITS = Limits()


def _environment() -> dict[str, str]:
    """Let the child find the libraries where this process found them, and nothing in the working directory."""
    folders = [folder for folder in sys.path if folder and Path(folder).is_dir()]
    return {**os.environ, **QUIET_LIBRARIES, "PYTHONPATH": os.pathsep.join(folders)}


def _problem(reason: str, path: Path, seconds: float) -> Problem:
    """Put the child's short reason into words."""
    words = {
        "encoding": (
            "E170",
            "text in the file does not fit the encoding that the file declares",
            'say which encoding it has: encoding="windows-1252" (western), "windows-1251" (Cyrillic) or '
            '"windows-1256" (Arabic) are the usual ones',
        ),
        "encoding-name": (
            "E170",
            "the encoding named is not known",
            'name one that exists, e.g. encoding="utf-8" or "windows-1252"',
        ),
        "time": (
            "E190",
            f"reading did not end within {seconds:.0f} seconds",
            "the file is damaged or much larger than it seems: export it again, or save it as Parquet",
        ),
        "memory": (
            "E190",
            "reading needs more memory than is allowed",
            "declare fewer columns, or save the file as Parquet",
        ),
        "version": (
            "E190",
            "the file has a version that cannot be read",
            "save it again as SPSS .sav or as Stata 14 to 18 .dta",
        ),
        "doubled": ("E190", "two columns have the same name", "rename one of them in the program that made the file"),
        "open": ("E190", "the file cannot be opened", "check that it is not open elsewhere and that you may read it"),
    }
    if reason in words:
        code, what, remedy = words[reason]
        return Problem(code, what, path.name, 1, remedy)
    return damaged(
        path, "it ends too early: truncated download?" if reason == "truncated" else "its contents are broken"
    )


def parse_reply(data: bytes) -> tuple[dict[str, Any], pa.Table]:
    """Read what the child sent; ValueError where it is not a whole reply."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        table = stream.read_all()
    table.validate(full=True)
    text = (table.schema.metadata or {}).get(worker.REPLY_KEY)
    if text is None:
        raise ValueError("reply without metadata")
    return json.loads(text), table


def _run(request: Mapping[str, Any], seconds: float) -> bytes | None:
    """Start the child, wait for its reply and end it whatever happens; None where time ran out."""
    command = [sys.executable, "-P", "-B", worker.__file__, json.dumps(request)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
    ) as process:
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()


def read_guarded(
    path: Path,
    format: str,
    columns: Sequence[str] | None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    rows: bool = True,
) -> tuple[dict[str, Any], pa.Table]:
    """Read the declared columns of an SPSS or Stata file in a limited child process.

    Parameters
    ----------
    path
        The file.
    format
        ``"sav"`` (also .zsav) or ``"dta"``.
    columns
        Columns wanted; None for all. Where one is absent no row is read.
    encoding
        Encoding to use instead of the file's own.
    limits
        Time and memory allowed.
    rows
        Whether rows are read, or only what the file says about its columns.

    Returns
    -------
    reply, table
        What the file says (`worker.describe`), and the columns.

    Raises
    ------
    InputError
        E190 where the file is damaged or the child died or hit a limit, E170 where its text does not fit its encoding.
    """
    seconds = limits.seconds_for(path.stat().st_size)
    request = {
        "path": str(path.resolve()),
        "format": format,
        "columns": None if columns is None else list(columns),
        "rows": rows,
        "encoding": encoding,
        "seconds": seconds,
        "address_bytes": limits.address_bytes,
    }
    data = _run(request, seconds)
    if data is None:
        raise InputError([_problem("time", path, seconds)], path.name)
    try:
        reply, table = parse_reply(data)
    except (ValueError, OSError, pa.ArrowException):
        raise InputError([damaged(path, "the reader broke off on it")], path.name) from None
    if "error" in reply:
        raise InputError([_problem(reply["error"], path, seconds)], path.name)
    return reply, table
