"""Reads many files in one process, as `read_source` does: one line of standard input is a path, one of output its end.

Only the start of a fresh child per file is left out: the same `worker.answer` parses, in this process, which may die of it.
"""

from __future__ import annotations

import io
import json
import sys
import traceback
from types import TracebackType

from riskmodels.errors import InputError
from riskmodels.survey.readers import guarded, read_source, reading, worker


def in_this_process(request: dict[str, object], seconds: float) -> bytes:
    sink = io.BytesIO()
    worker.answer(request, sink)
    return sink.getvalue()


def outcome(path: str) -> str:
    try:
        source = read_source(path)
        with reading(source):
            source.connect().execute("SELECT * FROM source").fetchall()
    except InputError as error:
        return json.dumps([problem.code for problem in error.problems] + [str(error)])
    return json.dumps(["read"])


def confess(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Anything but an `InputError` is a bug of ours: say where, to the test."""
    print(json.dumps(["bug", "".join(traceback.format_exception(error))]), flush=True)


if __name__ == "__main__":
    sys.excepthook = confess
    guarded._run = in_this_process  # type: ignore[assignment]
    worker.limit_resources(3600, 4 * guarded.GIGABYTE)
    for line in sys.stdin:
        print(outcome(line.rstrip("\n")), flush=True)
