"""Mutated files: an `InputError` or a table, never anything else, no hang, and no crash outside the child."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.survey import fuzz_reader
from tests.survey.reader_files import CANARY, WRITERS

SECONDS = 15.0
#: Formats parsed in the guarded child: its death or hang is an E190 of the parent (see test_readers_guarded).
GUARDED = {".sav", ".zsav", ".dta"}


class Batch:
    """One process that reads many files, started again when it dies or hangs."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-W", "error", "-m", fuzz_reader.__name__]
        root = Path(fuzz_reader.__file__).parents[2]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
        )

    def read(self, path: Path) -> list[str]:
        """Codes (and text) of the error, ``["read"]``, ``["died", signal]`` or ``["hung"]``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            self.stop()
            self.start()
            return ["hung"]
        line = self.process.stdout.readline()
        if line:
            return list(json.loads(line))
        ended = self.process.wait()
        self.stop()
        self.start()
        return ["died", str(ended)]

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def mutate(seed: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file as transfers, disks and people do: cut, flip, splice, blank, repeat, empty, random."""
    data = bytearray(seed)
    place, end = sorted(int(k) for k in rng.integers(0, len(data) + 1, 2))
    match rng.integers(0, 9):
        case 0:
            return bytes(data[:place])
        case 1 | 2:
            for at in rng.integers(0, len(data), rng.integers(1, 9)):
                data[at] ^= 1 << int(rng.integers(0, 8))
        case 3:
            for at in rng.integers(0, len(data), rng.integers(1, 5)):
                data[at] = int(rng.choice([0, 1, 127, 128, 254, 255]))
        case 4:
            start = int(rng.integers(0, len(other)))
            data[place:end] = other[start : start + int(rng.integers(1, 200))]
        case 5:
            data[place : place + 16] = bytes(16)
        case 6:
            data[end:end] = data[place:end]
        case 7:
            del data[place : place + int(rng.integers(1, 40))]
        case 8:
            return (
                bytes(rng.bytes(int(rng.integers(0, 300)))) if rng.random() < 0.5 else bytes(data[:16]) + rng.bytes(200)
            )
    return bytes(data)


def run(ending: str, count: int, folder: Path) -> Counter[str]:
    seeds = {kind: write(folder / f"seed{kind}").read_bytes() for kind, write in WRITERS.items()}
    batch = Batch()
    found: Counter[str] = Counter()
    path = folder / f"mutated{ending}"
    try:
        for number in range(count):
            rng = np.random.default_rng([number, sorted(WRITERS).index(ending)])
            other = seeds[sorted(WRITERS)[int(rng.integers(0, len(WRITERS)))]]
            path.write_bytes(mutate(seeds[ending], other, rng))
            result = batch.read(path)
            found[result[0]] += 1
            if result[0] in ("died", "hung"):
                (folder / f"{result[0]}-{number}{ending}").write_bytes(path.read_bytes())
            assert result[0] in ("read", "died", "hung") or result[0][0] in "EWI", (number, result[1])
            assert CANARY not in " ".join(result), (number, result)
            assert ending in GUARDED or result[0] not in ("died", "hung"), (number, result)
    finally:
        batch.stop()
    return found


@pytest.mark.parametrize("ending", sorted(GUARDED))
def test_a_file_cut_anywhere_is_never_a_shorter_survey(tmp_path: Path, ending: str) -> None:
    """Law: fewer rows than the file announces, or lost labels, are an error and not a table."""
    whole = WRITERS[ending](tmp_path / f"whole{ending}").read_bytes()
    batch = Batch()
    path = tmp_path / f"cut{ending}"
    try:
        for size in range(1, len(whole), 23):
            path.write_bytes(whole[:size])
            assert batch.read(path)[0] in ("E190", "E170", "died"), size
    finally:
        batch.stop()


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_mutated_files(tmp_path: Path, ending: str) -> None:
    found = run(ending, 40, tmp_path)
    assert found["E190"] > 0
    assert found["read"] > 0
    assert found["died"] + found["hung"] <= 2


@pytest.mark.slow
@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_two_thousand_mutated_files_of_each_format(tmp_path: Path, ending: str) -> None:
    found = run(ending, 2000, tmp_path)
    print(f"\n{ending}: {dict(found)}")
    assert found["E190"] > 300
    assert found["died"] + found["hung"] < 40
