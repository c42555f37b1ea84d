"""constraints.txt and requirements-hashes.txt fit the requirements: all that they bring, in the versions that they name."""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NAMED = ("requirements.txt", "tests/requirements.txt", "docs/notebooks/requirements.txt")
AGAIN = "run .ci/lock"


def pins(file: str) -> dict[str, set[str]]:
    """Package → its versions; more than one where they differ by Python or platform."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\#\n]+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def brought(names: set[str], without: str = "") -> set[str]:
    """The packages of this environment that `names` need, themselves included, but not what only `without` needs."""
    found, waiting = set(), set(names) - {without}
    while waiting:
        found.add(name := waiting.pop())
        waiting |= set(needs(name)) - found - {without}
    return found


def needs(name: str) -> Iterator[str]:
    for line in importlib.metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


@pytest.mark.parametrize("file", NAMED)
def test_requirements_are_constrained_to_what_they_name(file: str) -> None:
    constrained = pins("constraints.txt")
    assert {name: versions for name, versions in pins(file).items() if constrained.get(name) != versions} == {}, AGAIN


def test_all_that_the_requirements_bring_is_in_one_version() -> None:
    """By the metadata of what is installed here; notebooks' requirements need not be."""
    named = set(pins(NAMED[0])) | set(pins(NAMED[1]))
    assert brought(named) - set(pins("constraints.txt")) == set(), AGAIN
    assert not [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "--hash" in line]


def test_hashes_are_of_the_same_versions_and_of_all_but_torch() -> None:
    constrained, hashed = pins("constraints.txt"), pins("requirements-hashes.txt")
    assert {name for name, versions in hashed.items() if constrained.get(name) != versions} == set(), AGAIN
    named = set(pins(NAMED[0])) | set(pins(NAMED[1]))
    assert brought(named, without="torch") - set(hashed) == set(), AGAIN
    assert not {name for name in hashed if re.match("torch$|triton$|nvidia-|cuda-", name)}
    text = (ROOT / "requirements-hashes.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries and all("--hash=sha256:" in entry for entry in entries)


def test_the_readme_installs_by_the_constraints() -> None:
    for file, commands in (("README.md", 2), ("CONTRIBUTING.md", 1)):
        lines = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if "pip install -r" in line]
        assert len(lines) == commands and all("-c constraints.txt" in line for line in lines)
