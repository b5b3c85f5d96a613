"""Child processes: what they inherit, how they end, what is said about it."""

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dc1.daemon.runners.child import ChildDiedError, ChildProcess


@pytest.fixture
def child_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that reports its environment, then fails as it is told to."""
    (tmp_path / "obedient_child.py").write_text(
        textwrap.dedent(
            """
            import os, sys
            from dc1.daemon.runners.child import ParentLink
            link = ParentLink()
            print("a library that prints must not reach the parent")
            link.emit("ready", settings=[name for name in os.environ if name.startswith("DC1_")], argument=sys.argv[1])
            raise SystemExit(link.next_request()["fail_with"])
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "obedient_child"


async def test_child_hears_its_arguments_but_not_the_daemons_settings(
    child_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DC1_PROVIDER_KEY", "secret")
    child = await ChildProcess.start(child_module, "argument")
    assert await child.receive() == {"event": "ready", "settings": [], "argument": "argument"}
    await child.kill()
    assert not child.alive


async def test_death_is_told_with_its_last_words(child_module: str) -> None:
    child = await ChildProcess.start(child_module, "x")
    await child.receive()
    await child.send({"fail_with": "CUDA out of memory"})
    with pytest.raises(ChildDiedError, match="status 1: CUDA out of memory") as death:
        await child.receive()
    assert death.value.ran_out_of_memory


async def test_a_child_that_ends_by_itself_is_not_killed(child_module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    child = await ChildProcess.start(child_module, "x")
    await child.receive()
    killed: list[object] = []
    monkeypatch.setattr(asyncio.subprocess.Process, "kill", killed.append)
    await child.send({"fail_with": "enough"})
    with pytest.raises(ChildDiedError, match="status 1: enough"):
        await child.receive()
    assert killed == []


async def test_a_child_that_falls_silent_without_ending_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent_child.py").write_text("import os, signal\nos.close(1)\nsignal.pause()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("dc1.daemon.runners.child._END_SECONDS", 0.1)
    child = await ChildProcess.start("silent_child")
    with pytest.raises(ChildDiedError, match="status -9"):
        await child.receive()


def test_child_does_not_outlive_a_killed_daemon(child_module: str) -> None:
    daemon = textwrap.dedent(
        f"""
        import asyncio
        from dc1.daemon.runners.child import ChildProcess
        async def main():
            child = await ChildProcess.start({child_module!r}, "x")
            await child.receive()
            print(child.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", daemon], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("line", ["not JSON", "[1]", "7", "{}", '{"event": 5}', "[" * 100_000, "x" * 5_000_000])
async def test_a_line_that_is_no_event_ends_its_child_alone(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    said.write_text(line + "\n")
    (tmp_path / "odd_child.py").write_text(
        f"import sys\nprint(open({str(said)!r}).read(), flush=True)\nsys.stdin.read()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    child = await ChildProcess.start("odd_child")
    with pytest.raises(ChildDiedError, match="no event") as death:
        await child.receive()
    # Killed by us, so its status says nothing of memory.
    assert not death.value.ran_out_of_memory
    assert not child.alive
