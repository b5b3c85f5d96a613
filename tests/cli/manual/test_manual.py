"""The manual pages have every command and option, and roff takes them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import typer.main

from dc1.cli.app import app
from dc1.cli.manual import page, write_pages


def test_every_command_has_a_page_with_its_options(tmp_path: Path) -> None:
    write_pages(tmp_path)

    submit = (tmp_path / "dc1-renter-submit.1").read_text()
    assert "\\-\\-max\\-seconds" in submit
    assert "DC1_RENTER_KEY" in submit
    top = (tmp_path / "dc1.1").read_text()
    command: Any = typer.main.get_command(app)
    assert all(f".B {name}" in top for name in command.commands)
    assert (tmp_path / "dc1-admin-alerts.1").exists()


def test_roff_has_no_word_against_them(tmp_path: Path) -> None:
    write_pages(tmp_path)
    pages = sorted(tmp_path.iterdir())
    groff = shutil.which("groff")
    # Where there is none, the form is all that can be looked at.
    if groff is not None:
        ended = subprocess.run([groff, "-man", "-Tutf8", "-ww", *pages], check=True, capture_output=True, text=True)
        assert ended.stderr == ""
    assert all(path.read_text().startswith(".TH ") for path in pages)


def test_what_stands_at_a_line_s_start_is_no_instruction() -> None:
    command: Any = typer.main.get_command(app)
    assert "\n'" not in page(("dc1",), command)
