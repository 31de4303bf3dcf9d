"""A limited process that reads binary files: C code meets bytes that nobody has vouched for.

Run as a script by `read.py`. It reads one request from standard input, writes columns as Arrow and what the file says
of them as JSON into a private folder, and ends. Nothing it prints reaches a person: a parser's message may hold data.
It imports no other part of the package, so that it starts quickly.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

#: Limits of the process: address space in bytes.
ADDRESS_SPACE = 6 * 1024**3


def limit(seconds: int) -> None:
    """Limit this process: address space, processor time, no core file."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reader(kind: str) -> Any:
    import pyreadstat

    return {
        "sav": pyreadstat.read_sav,
        "zsav": pyreadstat.read_sav,
        "dta": pyreadstat.read_dta,
        "por": pyreadstat.read_por,
    }[kind]


def describe(meta: Any) -> dict[str, Any]:
    """What a file says of its columns, as plain values."""
    ranges = getattr(meta, "missing_ranges", None) or {}
    return {
        "columns": list(meta.column_names),
        "labels": {name: label or "" for name, label in meta.column_names_to_labels.items()},
        "value_labels": {
            name: [[code, str(label)] for code, label in labels.items()]
            for name, labels in (meta.variable_value_labels or {}).items()
        },
        "missing_ranges": {name: [[part["lo"], part["hi"]] for part in parts] for name, parts in ranges.items()},
        "missing_user_values": {
            name: list(parts) for name, parts in (getattr(meta, "missing_user_values", None) or {}).items()
        },
        "measure": {name: str(value) for name, value in (getattr(meta, "variable_measure", None) or {}).items()},
        "encoding": str(meta.file_encoding or ""),
        "rows": meta.number_rows,
        "response_sets": {
            name: list(found["variable_list"]) for name, found in (getattr(meta, "mr_sets", None) or {}).items()
        },
    }


def read(request: dict[str, Any]) -> None:
    """Read one file as asked, and leave `data.arrow` and `about.json` in the folder named."""
    folder, reader = Path(request["folder"]), _reader(request["kind"])
    options: dict[str, Any] = {"encoding": request["encoding"]} if request["encoding"] else {}
    if request["kind"] != "por":
        options["user_missing"] = True
    _, meta = reader(request["path"], metadataonly=True, **options)
    about = describe(meta)
    if request["columns"] is not None:
        wanted = [name for name in request["columns"] if name in set(about["columns"])]
        if wanted:
            frame, meta = reader(request["path"], usecols=wanted, **options)
            about["missing_user_values"] = describe(meta)["missing_user_values"]
            _write(frame, folder / "data.arrow")
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _write(frame: Any, path: Path) -> None:
    """Write numbers as float64, text as text, and Stata's letters into a companion column of their own."""
    import pyarrow as pa
    from pyarrow import feather

    columns: dict[str, Any] = {}
    for name in frame.columns:
        values = frame[name].tolist()
        numbers = [
            value if isinstance(value, int | float) and not isinstance(value, bool) else None for value in values
        ]
        letters = [value if isinstance(value, str) else None for value in values]
        others = any(value is not None and not isinstance(value, int | float | str | bool) for value in values)
        has_number = any(value is not None and value == value for value in numbers)
        if others:
            columns[name] = pa.array([None if value is None else str(value) for value in values], pa.string())
        elif any(value is not None for value in letters):
            single = all(value is None or (len(value) == 1 and value.isalpha()) for value in letters)
            if single and has_number:
                columns[name] = pa.array(numbers, pa.float64())
                columns[f"{name}__reason"] = pa.array([None if v is None else f".{v}" for v in letters], pa.string())
            else:
                columns[name] = pa.array([None if v is None else str(v).rstrip() for v in values], pa.string())
        else:
            columns[name] = pa.array(numbers, pa.float64())
    feather.write_feather(pa.table(columns), str(path), compression="uncompressed")


def main() -> int:
    """Read a request, serve it, and say nothing."""
    request = json.loads(sys.stdin.read())
    limit(int(request["seconds"]))
    try:
        read(request)
    except MemoryError:
        return 3
    except Exception:  # noqa: BLE001 - whatever the parser meets is one answer: it could not be read
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
