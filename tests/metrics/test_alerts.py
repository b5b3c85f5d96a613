"""Alerts and board read what there is, promtool agrees with the rules, and the runbook has an entry for each."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, page

OPS = ROOT / "ops"
RULES = OPS / "prometheus/alerts.yml"
_NAME = re.compile(r"\bdc1_[a-z0-9_]+|\benvoy_[a-z0-9_]+")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    board = json.loads((OPS / "grafana/dc1.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return [*shown, *(str(rule["expr"]) for rule in alerts())]


def promtool(*arguments: str, directory: Path = ROOT) -> str:
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("There is no `promtool` here (Debian: apt install prometheus), so nothing can judge the alerts.")
    done = subprocess.run([binary, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_metric_that_is_shown_or_watched_is_told_by_somebody() -> None:
    tables = page("docs/metrics.md")
    rows = tables.table_rows("The server") + tables.table_rows("The daemon")
    told = {row.split("`")[1] for row in rows}
    read = {_SUFFIX.sub("", name) for expression in expressions() for name in _NAME.findall(expression)}

    assert read <= told
    # What nobody is ever shown need not be counted.
    assert len(read) > len(told) / 2


def test_the_runbook_says_of_each_alert_what_it_means_where_to_look_and_what_to_do() -> None:
    runbook = page("docs/runbook.md")
    named = [str(rule["alert"]) for rule in alerts()]

    assert re.findall(r"^## (\w+)$", runbook.text, re.MULTILINE) == in_order(named)
    for name in named:
        assert re.findall(r"^- \*\*(\w+)\*\*: ", runbook.section(name), re.MULTILINE) == ["Means", "Look", "Do"], name


def in_order(named: list[str]) -> list[str]:
    """The runbook's order is that of the rules."""
    assert len(set(named)) == len(named)
    return named


def test_promtool_takes_rules_and_configuration() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", str(RULES))
    promtool("check", "config", str(OPS / "prometheus/prometheus.yml"))
    # Its token is made where it runs.
    promtool("check", "config", "--syntax-only", str(OPS / "prometheus/compose.yml"))


def test_each_alert_comes_when_it_should_and_not_otherwise() -> None:
    directory = Path(__file__).parent
    told = (directory / "alerts.test.yml").read_text(encoding="utf-8")
    assert [name for name in (str(rule["alert"]) for rule in alerts()) if f'{{alertname="{name}"}}' not in told] == []

    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml", directory=directory)
