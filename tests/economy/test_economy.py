"""Cheating pays nobody, and costs nobody honest. `python -m tests.economy` has more, with those an operator stops."""

import os
import random
import shutil
from pathlib import Path

from dc1.storage.engine.database import Database
from tests.economy.economy import Economy
from tests.economy.kinds import ALERTED, OWNER_CHEATS

JOBS = 150


async def test_no_cheat_gains_and_nobody_honest_loses(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, path := tmp_path / "dc1.sqlite3")
    seed = int(os.environ.get("DC1_ECONOMY_SEED") or random.randrange(1_000_000))
    economy = Economy(Database.open(f"sqlite:///{path}"), seed)
    try:
        # What only shows over many runs takes more of them than there is time for here.
        await economy.populate(24, 12, 0.1, tuple(kind for kind in OWNER_CHEATS if kind not in ALERTED))
        reckoning = await economy.run(JOBS)
    finally:
        await economy.market.db.close()
    print(seed, reckoning)
    assert reckoning.unfair == []
    assert sum(each.jobs for each in reckoning.renters.values()) >= JOBS
