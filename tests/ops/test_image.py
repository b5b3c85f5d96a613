"""The image of the Containerfile runs in its roles, and the market that it serves installs daemons on bare machines."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dc1.testing.edge import free_port
from dc1.testing.waiting import eventually
from tests.daemon.runners.podman import short_directory
from tests.ops.podman import BASE, IMAGE, TRUSTING, Podman, make_base, make_image, require_podman

TOKEN = "a-token-for-tests-that-is-long-enough"
MARKET, MACHINE = "market", "machine"
# Generous: what else runs on a machine slows containers more than anything.
SECONDS = 120
KIB_OF_A_DAEMON = 120 * 1024


@pytest.fixture
def podman() -> Iterator[Podman]:
    require_podman()
    # Podman takes short paths only; and what it has is too large to stay until tests of another day.
    with short_directory() as directory:
        podman = Podman(directory)
        base = make_base(directory)
        make_image(podman, base)
        base.unlink()
        yield podman
        podman("system", "reset", "--force", check=False)


@dataclass(frozen=True)
class Market:
    """The market in its container, asked by its own commands."""

    podman: Podman
    url: str

    def dc1(self, *words: str) -> str:
        return self.podman("exec", MARKET, "dc1", *words, "--url", self.url).stdout

    def provider(self) -> str:
        """The key of a new provider that is approved."""
        account = ("--name", "GPU", "--email", "gpu@example.sa", "--gpu-model", "CPU", "--json")
        key: str = json.loads(self.dc1("provider", "register", *account))["api_key"]
        self.dc1("admin", "approve", "1", "--token", TOKEN)
        return key

    def wait_until(self, status: str, key: str) -> None:
        eventually(lambda: self.status(key) == status, f"the daemon {status}", SECONDS)

    def status(self, key: str) -> object:
        return json.loads(self.dc1("provider", "me", "--json", "--key", key))["provider"]["status"]


@dataclass(frozen=True)
class Machine:
    """A small Debian with Python and nothing else, not even a way to make environments with pip."""

    podman: Podman

    def run(self, command: str, user: str = "root") -> str:
        home = "/root" if user == "root" else f"/home/{user}"
        return self.podman("exec", "--user", user, "--env", f"HOME={home}", MACHINE, "sh", "-c", command).stdout


# One test: an image takes a minute to make, and tests of a module may run in several processes.
@pytest.mark.container
@pytest.mark.timeout(900)
def test_the_image_serves_and_what_it_serves_installs_a_daemon(podman: Podman) -> None:
    (image,) = json.loads(podman("inspect", IMAGE).stdout)
    # A number: Kubernetes cannot tell of a name that it is not root's.
    assert image["Config"]["User"] == "10001:10001"
    port = free_port()
    settings = {"DC1_ENVIRONMENT": "production", "DC1_ADMIN_TOKEN": TOKEN, "DC1_HTTP_PORT": str(port)}
    with podman.serving(
        MARKET, *(part for name in settings for part in ("--env", f"{name}={settings[name]}")), role="up"
    ):
        # By the image's own health check.
        eventually(lambda: podman("healthcheck", "run", MARKET, check=False).returncode == 0, "its health", SECONDS)
        assert "is well" in podman("exec", MARKET, "dc1", "health", "--server").stdout
        assert podman("exec", MARKET, "touch", "/opt/x", check=False).returncode != 0
        market = Market(podman, f"http://127.0.0.1:{port}")
        key = market.provider()

        server = ("--env", f"DC1_SERVER=127.0.0.1:{port}", "--env", f"DC1_PROVIDER_KEY={key}")
        with podman.serving("daemon", *server, role="daemon"):
            market.wait_until("online", key)

        with podman.running(MACHINE, *TRUSTING, BASE, "sleep", "infinity"):
            machine = Machine(podman)
            machine.run("rm -r /usr/lib/python3*/ensurepip; useradd --create-home owner")
            # Found first by root, and closed to everybody else.
            machine.run("umask 077; mkdir -p /root/bin; cp /usr/bin/python3 /root/bin/")
            script = podman("exec", MARKET, "python3", "-c", FETCH, f"{market.url}/install.sh").stdout
            for user in ("root", "owner"):
                installs_upgrades_and_removes(machine, market, user, script, key)
    print(f"The image has {image['Size'] / 1e6:.0f} MB.")


# As curl would, which the image has no use for.
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def installs_upgrades_and_removes(machine: Machine, market: Market, user: str, script: str, key: str) -> None:
    machine.run(f"umask 077; echo {key} > ~/key; cat > ~/install.sh <<'SCRIPT'\n{script}\nSCRIPT\n", user)
    # Through a pipe, as people are told to.
    began = time.monotonic()
    said = machine.run("cat ~/install.sh | PATH=~/bin:$PATH sh -s -- --key-file ~/key", user)
    for found in ("card: none", "container engine: none", "systemd: no", "The daemon is online."):
        assert found in said
    market.wait_until("online", key)
    print(f"Online {time.monotonic() - began:.0f} s after the one line, as {user}.")
    home = "/opt/dc1" if user == "root" else "/home/owner/.local/share/dc1"
    # Without what Python keeps for the next start where it may write, as it may in a home directory.
    assert int(machine.run(f"du -sk --exclude=__pycache__ {home}", user).split()[0]) < KIB_OF_A_DAEMON
    # The key is nobody else's, and the daemon not root's.
    assert machine.run("cat ~/.config/dc1/provider-key /etc/dc1/provider-key 2>/dev/null || :", user).strip() == key
    state = "/var/lib/dc1-daemon" if user == "root" else "~/.local/state/dc1-daemon"
    before = machine.run(f"cat {state}/daemon.pid", user).strip()
    assert machine.run(f"stat -c %U /proc/{before}", user).strip() == ("dc1" if user == "root" else "owner")

    machine.run("sh ~/install.sh --upgrade", user)
    after = machine.run(f"cat {state}/daemon.pid", user).strip()
    assert before != after
    market.wait_until("online", key)

    machine.run("sh ~/install.sh --remove", user)
    left = machine.run(f"ls -d {home} ~/.config/dc1 /etc/dc1 {state} 2>/dev/null || :", user)
    # It has ended; nobody in the container takes note of that.
    assert left == machine.run(f"cat /proc/{after}/cmdline 2>/dev/null || :", user) == ""
