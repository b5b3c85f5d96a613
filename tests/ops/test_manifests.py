"""Compose file and Kubernetes manifests: of the form that their tools want, and of names that there are."""

import os
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml

from dc1.cli.app import app
from dc1.cli.options import COMMAND_VARIABLES
from dc1.cli.serving.serving import _NOTICE_SECONDS
from dc1.edge.envoy import KILL_SECONDS
from dc1.settings.settings import FILE_VARIABLES, Settings
from tests.ops.podman import ROOT

OPS = ROOT / "ops"
COMPOSE = OPS / "compose.yaml"
OVERLAYS = sorted(path.parent for path in OPS.glob("kubernetes/**/kustomization.yaml"))
SCRIPTS = Path(sysconfig.get_path("scripts"))
VARIABLES = COMMAND_VARIABLES | FILE_VARIABLES | {f"DC1_{name.upper()}" for name in Settings.model_fields}
SECRETS = (
    *("DC1_ADMIN_TOKEN", "DC1_SECRET_KEY", "DC1_EDGE_SECRET", "DC1_METRICS_TOKEN", "POSTGRES_PASSWORD"),
    "GRAFANA_PASSWORD",
)


def said(*command: str, **variables: str) -> list[dict[str, Any]]:
    """The YAML documents that a program prints."""
    environment = {**os.environ, **variables}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


def composed(**variables: str) -> dict[str, Any]:
    (document,) = said(
        str(SCRIPTS / "podman-compose"), "--file", str(COMPOSE), "--profile", "daemon", "config", **variables
    )
    return document


def kustomized(folder: Path) -> list[dict[str, Any]]:
    return said(str(SCRIPTS / "kubectl"), "kustomize", str(folder))


def require_command(words: list[str]) -> None:
    """Require that `dc1` has a command with these options."""
    called: Any = typer.main.get_command(app)
    for word in words:
        called = getattr(called, "commands", {}).get(word, called)
    known = {option for parameter in called.params for option in parameter.opts}
    assert called.name == words[0]
    assert {word for word in words if word.startswith("--")} <= known


def test_the_compose_file_is_read_by_its_tool_and_names_what_there_is() -> None:
    services = composed(**dict.fromkeys(SECRETS, "x" * 40))["services"]
    for service in services.values():
        ours = service["image"].startswith("localhost/dc1")
        if ours:
            require_command(service["command"])
            assert {name for name in service["environment"] if name.startswith("DC1_")} <= VARIABLES
            # Nothing but its volume and memory is written, and nothing may be gained.
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "healthcheck" in service
        if (test := service.get("healthcheck", {}).get("test", [])) and "dc1" in test[:2]:
            require_command(test[2:])
        sources = [volume.partition(":")[0] for volume in service.get("volumes", ()) if volume.startswith(".")]
        assert [source for source in sources if not (OPS / source).exists()] == []
        # Whoever opens them to others puts TLS before them.
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert {"postgres", "server-1", "server-2", "edge", "daemon", "prometheus", "grafana"} == set(services)


def test_prometheus_reads_the_parts_of_the_compose_file_where_they_tell() -> None:
    services = composed(**dict.fromkeys(SECRETS, "x" * 40))["services"]
    jobs = yaml.safe_load((OPS / "prometheus/compose.yml").read_text(encoding="utf-8"))["scrape_configs"]
    static = [
        tuple(target.split(":")) for job in jobs for each in job.get("static_configs", ()) for target in each["targets"]
    ]
    found = [
        (name, str(each["port"])) for job in jobs for each in job.get("dns_sd_configs", ()) for name in each["names"]
    ]
    told = {
        (name, address.rpartition(":")[2])
        for name, service in services.items()
        for variable, address in service.get("environment", {}).items()
        if variable.endswith("METRICS_ADDRESS")
    }
    assert {*static, *found} == told
    # It writes the token where its configuration reads it.
    files = {job["authorization"]["credentials_file"] for job in jobs}
    assert [f" > {file};" in " ".join(services["prometheus"]["command"]) for file in files] == [True]
    source = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    boards = yaml.safe_load((OPS / "grafana/provisioning/dashboards/dc1.yaml").read_text(encoding="utf-8"))
    path = boards["providers"][0]["options"]["path"]
    assert any(f":{path}/" in volume for volume in services["grafana"]["volumes"])


@pytest.mark.parametrize("missing", SECRETS)
def test_the_compose_file_does_without_no_secret(missing: str) -> None:
    with pytest.raises(AssertionError, match=r"is in \.env"):
        composed(**dict.fromkeys(SECRETS, "x" * 40) | {missing: ""})


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: str(folder.relative_to(OPS)))
def test_the_manifests_are_what_kubernetes_takes(folder: Path) -> None:
    for resource in kustomized(folder):
        kubernetes_validate.validate(resource, "1.37", strict=True)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: str(folder.relative_to(OPS)))
def test_a_pod_is_probed_confined_and_runs_what_there_is(folder: Path) -> None:
    resources = kustomized(folder)
    deployments = [resource for resource in resources if resource["kind"] == "Deployment"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        guarded = [
            (spec.get("selector") or spec["podSelector"])["matchLabels"]
            for spec in (resource["spec"] for resource in resources if resource["kind"] == kind)
        ]
        assert guarded == [deployment["spec"]["selector"]["matchLabels"] for deployment in deployments]
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        require_command(container["args"])
        assert {"readinessProbe", "livenessProbe"} <= set(container)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {entry["name"] for entry in container["env"]} <= VARIABLES


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: str(folder.relative_to(OPS)))
def test_a_pod_has_the_time_that_its_stop_takes(folder: Path) -> None:
    drain_seconds = tomllib.loads((folder / "dc1.toml").read_text(encoding="utf-8")).get(
        "drain_seconds", Settings.model_fields["drain_seconds"].default
    )
    deployments = {
        each["metadata"]["name"]: each["spec"] for each in kustomized(folder) if each["kind"] == "Deployment"
    }
    for name, notice_seconds in (("dc1-edge", 0), ("dc1-server", _NOTICE_SECONDS)):
        pod = deployments[name]["template"]["spec"]
        hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})["sleep"]["seconds"]
        # Beside what it waits for it has Envoy, its database and its log to end.
        assert pod["terminationGracePeriodSeconds"] >= hook + notice_seconds + drain_seconds + KILL_SECONDS + 5
        assert deployments[name]["minReadySeconds"] >= 15
    # A load balancer of a cluster looks every ten seconds, as a rule.
    assert (
        deployments["dc1-edge"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] >= 10
    )


@pytest.mark.parametrize("file", sorted(OPS.glob("kubernetes/**/dc1.toml")), ids=lambda file: file.parent.name)
def test_the_settings_in_the_manifests_are_settings(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "edge-secret"
    secret.write_text("s" * 40)
    text = file.read_text().replace("/run/secrets/dc1/edge-secret", str(secret))
    (tmp_path / "dc1.toml").write_text(text)
    for name in [name for name in os.environ if name.startswith("DC1_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DC1_CONFIG_FILE", str(tmp_path / "dc1.toml"))
    settings = Settings.load()
    assert settings.upstreams == (f"dc1-server:{(settings.grpc_address or ('', 0))[1]}",)
    assert settings.http_port == 8443
    assert settings.environment == tomllib.loads(text)["environment"] == "production"
