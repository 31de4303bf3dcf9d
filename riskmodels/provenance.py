"""Fingerprint: which data, specification, sampler, seed and versions made a result."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

#: Libraries whose version can move a draw.
VERSIONED = ("riskmodels", "pymc", "pytensor", "nutpie", "numba", "numpy", "scipy", "arviz-stats")


@functools.cache
def version_of(package: str) -> str:
    """Give the installed version of `package`, or ``"not installed"``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def installed_versions() -> dict[str, str]:
    """Give Python's version and those of the libraries that can move a draw."""
    return {"python": platform.python_version(), **{name: version_of(name) for name in VERSIONED}}


def hash_text(text: str) -> str:
    """SHA-256 of a text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def hash_source(path: Path) -> str:
    """SHA-256 of what a Python file does: layout, comments and docstrings do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hash_text(ast.unparse(tree))


def _own_files(parts: tuple[str, ...]) -> dict[str, Path]:
    """The package's own files, or all files of its folders, by their names relative to the package."""
    root = Path(__file__).parent
    files = [
        path
        for part in parts
        for path in (sorted((root / part).rglob("*.py")) if (root / part).is_dir() else [root / part])
    ]
    return {path.relative_to(root).as_posix(): path for path in files}


def hashes_of_code(*parts: str) -> dict[str, str]:
    """Hash what each of the package's own source files does, for certificates; folders count with all their files."""
    return {name: hash_source(path) for name, path in _own_files(parts).items()}


@functools.cache
def hash_of_code(*parts: str) -> str:
    """Hash the bytes of the package's own source, so that changed code is never taken for the old; takes no time.

    Parameters
    ----------
    parts
        Files or folders relative to the package, e.g. ``"models"``.
    """
    return hash_text("".join(hash_file(path) for path in _own_files(parts).values()))


def hash_record(record: Mapping[str, object]) -> str:
    """Hash a mapping of plain values and arrays, independent of the order of its keys."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            return {
                "shape": value.shape,
                "dtype": str(value.dtype),
                "bytes": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
            }
        raise TypeError(f"cannot hash a {type(value).__name__}")

    return hash_text(json.dumps(record, sort_keys=True, default=plain, ensure_ascii=True))


@dataclass(frozen=True)
class Fingerprint:
    """Identity of a result: equal fingerprints mean the same numbers.

    Parameters
    ----------
    cells, spec, sampler
        Content hashes of the three inputs of a fit.
    seed
        Seed of the sampler.
    versions
        Sorted pairs of library and version.
    synthetic
        Whether the data were simulated; travels into every table, sheet and figure.
    source
        Where the cells came from, e.g. ``"published aggregates"``.
    """

    cells: str
    spec: str
    sampler: str
    seed: int
    versions: tuple[tuple[str, str], ...]
    synthetic: bool
    source: str

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that name this fingerprint."""
        return hash_record(asdict(self))[:16]

    def differences(self, other: Mapping[str, object]) -> list[str]:
        """Name the fields in which a stored fingerprint differs from this one."""
        mine = json.loads(json.dumps(asdict(self)))
        return [name for name in mine if mine[name] != other.get(name)]
