"""The child that parses an untrusted SPSS or Stata file: a script of its own, so that it imports nothing else of ours.

Started by `guarded.py` with one request (JSON) as its argument; answers with one Arrow stream on standard output, whose
schema carries the file's metadata (JSON). It reads, it writes to that pipe, and it may do nothing else.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

#: Key of the schema's metadata under which the reply stands.
REPLY_KEY = b"riskmodels"
#: Above this many cells columns are read as arrays, which needs pandas (half a second) and a quarter of the memory.
CELLS_READ_AS_LISTS = 8_000_000
TEXT_TYPES = ("string", "string_ref")
#: What ReadStat says, as far as it is known to hold no value -> short reason that `guarded.py` puts into words.
REASONS = (
    ("Unable to convert string", "encoding"),
    ("iconv", "encoding-name"),
    ("encoding is not supported", "encoding-name"),
    ("Unable to allocate memory", "memory"),
    ("unsupported file format version", "version"),
    ("has unsupported features", "invalid"),
    ("Unable to read from file", "truncated"),
    ("row count", "truncated"),
    ("number of rows", "truncated"),
    ("Unable to open file", "open"),
)


def limit_resources(seconds: float, address_bytes: int) -> None:
    """Bound memory and processor time; forbid core dumps and writing to files. Nothing where the system has no limits."""
    try:
        import resource
    except ImportError:  # Windows: the parent's wall clock is the only limit
        return
    for kind, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, address_bytes),
        (resource.RLIMIT_CPU, int(seconds) + 1),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (bound, bound))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS; the other limits stand
            continue


def reason_of(message: str) -> str:
    """Map a message of the library to one of our own reasons; the message itself never leaves this process."""
    return next((reason for known, reason in REASONS if known.lower() in message.lower()), "invalid")


def _code(value: Any) -> float | str:
    return value.rstrip(" ") if isinstance(value, str) else float(value)


def _tagged(value: Any, stata: bool, numeric: bool) -> float | str:
    """Write a code; a letter on a Stata number is an extended missing value."""
    return f".{value}" if stata and numeric and isinstance(value, str) else _code(value)


def _ranges(entries: Sequence[Mapping[str, Any]]) -> list[list[float | str]]:
    return [[_code(entry["lo"]), _code(entry["hi"])] for entry in entries]


def describe(meta: Any, names: Sequence[str], stata: bool) -> dict[str, Any]:
    """List what the file says about the named columns and about itself, ready for JSON."""
    columns = []
    for name in names:
        numeric = meta.readstat_variable_types[name] not in TEXT_TYPES
        labels = meta.variable_value_labels.get(name, {})
        columns.append(
            {
                "name": name,
                "label": meta.column_names_to_labels.get(name) or "",
                "labels": [[_tagged(code, stata, numeric), text] for code, text in labels.items()],
                "ranges": _ranges((meta.missing_ranges or {}).get(name, ())),
                "letters": [f".{letter}" for letter in (meta.missing_user_values or {}).get(name, ())]
                if numeric
                else [],
                "numeric": numeric,
                "measure": meta.variable_measure.get(name) or "",
            }
        )
    return {
        "columns": columns,
        "all_columns": list(meta.column_names),
        "rows": meta.number_rows,
        "encoding": meta.file_encoding or "",
        "sets": {name: list(entry["variable_list"]) for name, entry in (meta.mr_sets or {}).items()},
    }


def _number_array(values: Any) -> Any:
    """Arrow column of numbers, NaN where empty; from its buffer, since `pyarrow.array` would load pandas."""
    import numpy as np
    import pyarrow as pa

    numbers = np.ascontiguousarray(values, dtype=np.float64)
    return pa.Array.from_buffers(pa.float64(), len(numbers), [None, pa.py_buffer(numbers)])


def _text_array(texts: Sequence[str | None]) -> Any:
    """Arrow column of text, null where empty; from its buffers, since `pyarrow.array` would load pandas."""
    import numpy as np
    import pyarrow as pa

    encoded = [(text or "").encode() for text in texts]
    ends = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=ends[1:])
    present = np.packbits(np.array([bool(text) for text in texts], dtype=bool), bitorder="little")
    buffers = [pa.py_buffer(present), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def _arrays(name: str, values: Any, numeric: bool, letters: bool) -> dict[str, Any]:
    """Arrow columns of one column: its numbers or text, and beside numbers with extended missing values the reasons."""
    if not numeric:
        return {name: _text_array([value.rstrip(" ") if isinstance(value, str) else None for value in values])}
    if not letters:
        return {name: _number_array(values)}
    numbers = _number_array([None if isinstance(value, str) else value for value in values])
    reasons = _text_array([f".{value}" if isinstance(value, str) else None for value in values])
    return {name: numbers, f"{name}__reason": reasons}


def read(request: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file as requested.

    Parameters
    ----------
    request
        ``path``; ``format`` (``"sav"`` or ``"dta"``); ``columns`` (None: all); ``rows`` (False: metadata only);
        ``encoding`` (None: as the file says).

    Returns
    -------
    reply, arrays
        What the file says (see `describe`), and Arrow arrays by column name; no arrays where a requested column is
        absent, so that the caller can name all that are.
    """
    import pyreadstat

    stata = request["format"] == "dta"
    reader = pyreadstat.read_dta if stata else pyreadstat.read_sav
    options: dict[str, Any] = {
        "user_missing": True,
        "disable_datetime_conversion": True,
        "encoding": request["encoding"],
    }
    meta = reader(request["path"], metadataonly=True, output_format="dict", **options)[1]
    if not all(meta.column_names):
        return {"error": "invalid"}, {}
    declared = request["columns"]
    known = set(meta.column_names)
    names = [name for name in meta.column_names if declared is None or name in set(declared)]
    if not request["rows"] or (declared is not None and not known.issuperset(declared)):
        return describe(meta, names, stata), {}
    cells = len(names) * (meta.number_rows or 0)
    options["output_format"] = "dict" if cells <= CELLS_READ_AS_LISTS else "pandas"
    values, read_meta = reader(request["path"], usecols=names, **options)
    if any(len(values[name]) != meta.number_rows for name in names):
        return {"error": "truncated"}, {}
    reply = {**describe(read_meta, names, stata), "all_columns": list(meta.column_names)}
    arrays: dict[str, Any] = {}
    for column in reply["columns"]:
        letters = bool(column["letters"])
        arrays |= _arrays(column["name"], values[column["name"]], column["numeric"], letters)
        column["reason"] = letters
    return reply, arrays


def answer(request: Mapping[str, Any], sink: BinaryIO) -> None:
    """Read a file and write the reply, or the short reason why there is none, as one Arrow stream."""
    import pyarrow as pa
    from pyreadstat import PyreadstatError, ReadstatError

    arrays: dict[str, Any] = {}
    try:
        with warnings.catch_warnings(action="error", category=UserWarning):
            reply, arrays = read(request)
    except UserWarning:  # the library renames the second of two columns of one name, and only warns
        reply = {"error": "doubled"}
    except (ReadstatError, PyreadstatError) as error:
        reply = {"error": reason_of(str(error))}
    except MemoryError:
        reply = {"error": "memory"}
    except UnicodeError:
        reply = {"error": "encoding"}
    except (ValueError, TypeError, OverflowError, KeyError, IndexError, AttributeError):
        reply = {"error": "invalid"}
    text = json.dumps(reply).encode()
    schema = pa.schema([(name, column.type) for name, column in arrays.items()], metadata={REPLY_KEY: text})
    table = pa.Table.from_arrays(list(arrays.values()), schema=schema)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    limit_resources(asked["seconds"], asked["address_bytes"])
    answer(asked, sys.stdout.buffer)
