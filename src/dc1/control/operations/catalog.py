"""What admins sell: the price of a minute by job type, and the images that jobs may name."""

from dc1.control.operations.job_commands import JobCommands
from dc1.domain.base.clock import Clock
from dc1.storage.engine.database import Database
from dc1.storage.operations import catalog
from dc1.storage.operations.catalog import ImageRow, PriceRow


class Catalog:
    """The admin's side of prices and images.

    Submissions read both from memory; other replicas load them within seconds.
    """

    def __init__(self, db: Database, clock: Clock, job_commands: JobCommands) -> None:
        self._db = db
        self._clock = clock
        self._job_commands = job_commands

    async def set_price(self, job_type: str, rate_halala: int) -> PriceRow:
        """Set what a minute of a job type costs from now on; raises `Price not found`."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(lambda conn: catalog.set_price(conn, job_type, rate_halala, now_ms))
        # Loaded before it is answered: whoever submits after the answer pays the new price.
        await self._job_commands.load()
        return row

    async def approve_image(self, image_ref: str, image_type: str | None, description: str | None) -> ImageRow:
        """Let jobs name an image; one that was approved before keeps what is not given."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(
            lambda conn: catalog.approve_image(conn, image_ref, now_ms, image_type=image_type, description=description)
        )
        await self._job_commands.load()
        return row
