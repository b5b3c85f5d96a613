"""The revisions of the schema: two that were made side by side must not both be the newest."""

import re
from pathlib import Path

import dc1.storage.schema.migrations.versions as versions


def test_each_revision_follows_the_one_before_it() -> None:
    # All of them, by whatever name and in whatever folder: Alembic takes up every file that says `revision`.
    files = sorted(
        path for folder in versions.__path__ for path in Path(folder).rglob("*.py") if path.name != "__init__.py"
    )
    told = [
        re.findall(r'^(?:down_)?revision[^=\n]*= (?:"(\d+)"|None)', path.read_text(), re.MULTILINE) for path in files
    ]
    numbers = [f"{number:04d}" for number in range(1, len(files) + 1)]
    # Ten share a folder.
    places = [f"r{number[:3]}/r{number}_" for number in numbers]
    assert [f"{path.parent.name}/{path.name[:6]}" for path in files] == places
    assert told == [[number, before] for number, before in zip(numbers, ["", *numbers], strict=False)]
