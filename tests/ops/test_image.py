"""The image of the Containerfile: built on a small Debian, and run in its roles as a stranger would."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dc1.testing.waiting import eventually
from tests.ops.podman import IMAGE, Podman, make_base, make_image, require_podman

TOKEN = "a-token-for-tests-that-is-long-enough"
MARKET = "market"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    require_podman()
    directory = tmp_path_factory.mktemp("image")
    podman = Podman(directory)
    base = make_base(directory)
    make_image(podman, base)
    base.unlink()
    yield podman
    # Of root's, and too large to stay until tests of another day.
    podman("system", "reset", "--force", check=False)


def dc1(podman: Podman, *words: str) -> str:
    """What a command of dc1 prints, in the market's container."""
    return podman("exec", MARKET, "dc1", *words).stdout


@pytest.mark.container
@pytest.mark.timeout(600)
def test_the_image_serves_and_a_daemon_of_it_comes_online(podman: Podman, tmp_path: Path) -> None:
    (image,) = json.loads(podman("inspect", IMAGE).stdout)
    # A number: Kubernetes cannot tell of a name that it is not root's.
    assert image["Config"]["User"] == "10001:10001"
    print(f"The image has {image['Size'] / 1e6:.0f} MB.")
    settings = ("--network", "none", "--env", "DC1_ENVIRONMENT=production", "--env", f"DC1_ADMIN_TOKEN={TOKEN}")
    with podman.running(MARKET, *settings, role=("up",)):
        eventually(lambda: is_healthy(podman), "the market's health", 120)
        assert "is well" in dc1(podman, "health", "--server")
        assert podman("exec", MARKET, "touch", "/opt/x", check=False).returncode != 0

        account = ("--name", "GPU", "--email", "gpu@example.sa", "--gpu-model", "CPU", "--json")
        key = json.loads(dc1(podman, "provider", "register", *account))["api_key"]
        dc1(podman, "admin", "approve", "1", "--token", TOKEN)
        there = ("--network", f"container:{MARKET}", "--env", f"DC1_PROVIDER_KEY={key}")
        with podman.running("daemon", *there, role=("daemon",)):
            eventually(lambda: "online" in dc1(podman, "provider", "me", "--key", key), "the daemon online", 60)


def is_healthy(podman: Podman) -> bool:
    """What the image's own health check says."""
    return podman("healthcheck", "run", MARKET, check=False).returncode == 0
