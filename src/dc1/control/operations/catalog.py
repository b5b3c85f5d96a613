"""What admins sell: the prices of minutes and tokens, the factors of GPUs, and the images that jobs may name."""

import asyncio
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from statistics import median

import structlog

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.core import Core
from dc1.domain.jobs.states import JobType
from dc1.domain.money.pricing import DEFAULT_RATE_HALALA, quote
from dc1.domain.money.token_prices import TokenPrices
from dc1.storage.admin import catalog
from dc1.storage.admin.catalog import GpuFactorRow, ImageRow, PriceRow, TokenPriceRow

log = structlog.get_logger(__name__)

# Lists have room for one price of a machine: an hour of inference on one of its GPUs, in the standard class.
_PRICED_JOB_TYPE = JobType.LLM_INFERENCE


class Catalog:
    """Prices and images, and the admin's side of them.

    Where digests are required, an image without one is listed and may not be named: what its tag stands for is decided
    by whoever can push to its registry. The server asks no registry itself, and takes no provider's word for what a
    tag stands for, since that would be one provider's word for all the others.

    Submissions read both from memory; other replicas load them within seconds.
    """

    def __init__(self, core: Core) -> None:
        self._db = core.db
        self._fleet = core.fleet
        self._config = core.config
        self._left_out: frozenset[str] = frozenset()
        self._clock = core.clock
        self._loading = asyncio.Lock()
        self._rates: Mapping[str, int] = {}
        self._token_prices: Mapping[str, TokenPrices] = {}
        self.approved_images: frozenset[str] = frozenset()
        self.images_by_type: Mapping[str, str] = {}

    async def load(self) -> None:
        """Read the prices, the factors and the image registry, with everything that was committed before this call."""
        # One after the other, so that an earlier reading cannot come last.
        async with self._loading:
            self._rates, factors, of_tokens, rows = await self._db.read(
                lambda conn: (
                    catalog.rates(conn),
                    catalog.list_gpu_factors(conn),
                    catalog.list_token_prices(conn),
                    catalog.list_images(conn),
                )
            )
            self._token_prices = {row.model: row.prices for row in of_tokens}
            self._fleet.set_gpu_factors({row.gpu_model: row.factor_pct for row in factors})
            usable = [image for image in rows if image.is_pinned or not self._config.image_digests_required]
            self.approved_images = frozenset(image.image_ref for image in usable)
            # Of several images of a type, the one that was approved first.
            self.images_by_type = {image.image_type: image.image_ref for image in reversed(usable)}
            self._tell_left_out({image.image_ref for image in rows} - self.approved_images)

    def _tell_left_out(self, left_out: AbstractSet[str]) -> None:
        # Once for each, and not each time that the catalogue is read: beside other replicas that is every second.
        if new := left_out - self._left_out:
            log.warning("images_without_digest", images=sorted(new))
        self._left_out = frozenset(left_out)

    def rate(self, job_type: str) -> int:
        """Return what a minute of a job type costs in the standard class, in halala."""
        return self._rates.get(job_type, self._rates.get(catalog.DEFAULT_PRICE, DEFAULT_RATE_HALALA))

    def hour_halala(self, provider: Provider) -> int:
        """Return the one price of a machine that lists have room for, in halala."""
        return quote(self.rate(_PRICED_JOB_TYPE), 60, Decimal(1), provider.price_bps(self._fleet.prices))

    def median_hour_halala(self, providers: Collection[Provider]) -> float | None:
        """Return the median of the prices of machines; None for none."""
        return median(map(self.hour_halala, providers)) if providers else None

    async def set_price(self, job_type: str, rate_halala: int) -> PriceRow:
        """Set what a minute of a job type costs from now on; raises `Price not found`."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(lambda conn: catalog.set_price(conn, job_type, rate_halala, now_ms))
        # Loaded before it is answered: whoever submits after the answer pays the new price.
        await self.load()
        return row

    async def set_gpu_factor(self, gpu_model: str, factor_pct: int) -> GpuFactorRow:
        """Set what machines with a GPU model cost from now on, beside others; `gpu_model` is canonical."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(lambda conn: catalog.set_gpu_factor(conn, gpu_model, factor_pct, now_ms))
        await self.load()
        return row

    def token_prices(self, model: str) -> TokenPrices:
        """Return what tokens of a model cost under /v1: what an admin set, else the setting's price for each."""
        return self._token_prices.get(model.lower()) or TokenPrices.of(self._config.token_price(model))

    @property
    def prices_of_tokens(self) -> Mapping[str, TokenPrices]:
        """What admins set, by model: equal to what it was until one of them changes."""
        return self._token_prices

    async def set_token_prices(self, model: str, prices: TokenPrices) -> TokenPriceRow:
        """Set what tokens of a model cost from the next call on."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(lambda conn: catalog.set_token_prices(conn, model.lower(), prices, now_ms))
        await self.load()
        return row

    async def remove_image(self, image_id: int) -> ImageRow:
        """Let no job name an image any more; raises `Image not found`."""
        row = await self._db.write(lambda conn: catalog.remove_image(conn, image_id))
        await self.load()
        return row

    async def approve_image(self, image_ref: str, image_type: str | None, description: str | None) -> ImageRow:
        """Let jobs name an image; one that was approved before keeps what is not given."""
        now_ms = self._clock.now_ms()
        row = await self._db.write(
            lambda conn: catalog.approve_image(conn, image_ref, now_ms, image_type=image_type, description=description)
        )
        await self.load()
        return row
