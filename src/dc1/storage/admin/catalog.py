"""The catalogue keeps the prices of minutes and tokens, the factors of GPU models and the images that may run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, select, update

from dc1.domain.errors import image_not_found, price_not_found
from dc1.domain.jobs import images
from dc1.domain.money.token_prices import TokenPrices
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import container_images, gpu_factors, prices, token_prices

DEFAULT_PRICE = "default"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The rate of a job type in halala per minute."""

    job_type: str
    rate_halala: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class GpuFactorRow:
    """The factor of a GPU model, by its canonical name, in hundredths."""

    gpu_model: str
    factor_pct: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class TokenPriceRow:
    """What tokens of a model cost, by its name in lower case, in halala per million."""

    model: str
    prompt_halala: int
    completion_halala: int
    cached_halala: int
    updated_at_ms: int

    @property
    def prices(self) -> TokenPrices:
        """The three."""
        return TokenPrices(self.prompt_halala, self.completion_halala, self.cached_halala)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An approved container image, by its full reference (registry included)."""

    id: int
    image_ref: str
    image_type: str
    description: str
    approved_at_ms: int

    @property
    def is_pinned(self) -> bool:
        """Whether it has a digest, so that nobody can make another image of it."""
        name = images.parse(self.image_ref)
        return name is not None and name.digest is not None


_price_shape = Shape(PriceRow, prices)
_factor_shape = Shape(GpuFactorRow, gpu_factors)
_token_shape = Shape(TokenPriceRow, token_prices)
_image_shape = Shape(ImageRow, container_images)


def list_prices(conn: Connection) -> list[PriceRow]:
    """Return every price, by job type; `default` is for types that have none."""
    return _price_shape.all(conn.execute(select(*_price_shape.columns).order_by(prices.c.job_type)))


def rates(conn: Connection) -> Mapping[str, int]:
    """Return halala per minute by job type, `default` included."""
    return {row.job_type: row.rate_halala for row in list_prices(conn)}


def set_price(conn: Connection, job_type: str, rate_halala: int, now_ms: int) -> PriceRow:
    """Change a rate (1..10000 halala per minute) for jobs submitted from now on.

    Raises:
        price_not_found: the job type has no price of its own.
    """
    statement = update(prices).where(prices.c.job_type == job_type)
    values = {"rate_halala": rate_halala, "updated_at_ms": now_ms}
    row = _price_shape.first(conn.execute(statement.values(**values).returning(*_price_shape.columns)))
    if row is None:
        raise price_not_found()
    return row


def list_gpu_factors(conn: Connection) -> list[GpuFactorRow]:
    """Return the factor of every model that has one, the dearest first."""
    order = (gpu_factors.c.factor_pct.desc(), gpu_factors.c.gpu_model)
    return _factor_shape.all(conn.execute(select(*_factor_shape.columns).order_by(*order)))


def set_gpu_factor(conn: Connection, gpu_model: str, factor_pct: int, now_ms: int) -> GpuFactorRow:
    """Set the factor of a model, by its canonical name, for jobs submitted from now on; it may be new to the table."""
    statement = upsert(conn, gpu_factors, ("gpu_model",), replace=("factor_pct", "updated_at_ms"))
    row = GpuFactorRow(gpu_model, factor_pct, now_ms)
    statement.run(conn, _factor_shape.values(row))
    return row


def list_token_prices(conn: Connection) -> list[TokenPriceRow]:
    """Return the prices of every model that has its own, by name."""
    return _token_shape.all(conn.execute(select(*_token_shape.columns).order_by(token_prices.c.model)))


def set_token_prices(conn: Connection, model: str, prices: TokenPrices, now_ms: int) -> TokenPriceRow:
    """Set the prices of a model, by its name in lower case, for calls from now on."""
    row = TokenPriceRow(model, prices.prompt_halala, prices.completion_halala, prices.cached_halala, now_ms)
    values = _token_shape.values(row)
    upsert(conn, token_prices, ("model",), replace=tuple(name for name in values if name != "model")).run(conn, values)
    return row


def list_images(conn: Connection) -> list[ImageRow]:
    """Return every approved image, by id."""
    return _image_shape.all(conn.execute(select(*_image_shape.columns).order_by(container_images.c.id)))


def approve_image(
    conn: Connection, image_ref: str, now_ms: int, *, image_type: str | None = None, description: str | None = None
) -> ImageRow:
    """Approve an image, by default of type `custom`; one that was approved before keeps what is not given.

    An image is approved once, however it is spelled. With another digest its tag stands for that from now on; without
    one it keeps that which it has, so that nobody lets a tag move by mistake.
    """
    image_ref = _same_image(conn, image_ref)
    given = {"image_type": image_type, "description": description}
    # What is not given stays as it is, and has a default only in a new row.
    replaced = tuple(name for name, value in given.items() if value is not None)
    statement = upsert(
        conn,
        container_images,
        ("image_ref",),
        new=("approved_at_ms", *(name for name in given if name not in replaced)),
        replace=replaced,
    )
    values = {"image_ref": image_ref, "approved_at_ms": now_ms}
    statement.run(conn, values | {"image_type": image_type or "custom", "description": description or ""})
    query = select(*_image_shape.columns).where(container_images.c.image_ref == image_ref)
    row = _image_shape.first(conn.execute(query))
    assert row is not None
    return row


def remove_image(conn: Connection, image_id: int) -> ImageRow:
    """Take an image back and return what it was.

    Raises:
        image_not_found: no image has this id.
    """
    statement = delete(container_images).where(container_images.c.id == image_id)
    row = _image_shape.first(conn.execute(statement.returning(*_image_shape.columns)))
    if row is None:
        raise image_not_found()
    return row


def _same_image(conn: Connection, image_ref: str) -> str:
    """Return the reference of the row that has an image already, renamed where its digest changes, or that of a new."""
    sent = images.parse(image_ref)
    for row in list_images(conn):
        name = images.parse(row.image_ref)
        if sent is None or name is None or replace(name, digest=sent.digest) != sent or sent.tag is None:
            continue
        if sent.digest in (None, name.digest):
            return row.image_ref
        conn.execute(update(container_images).where(container_images.c.id == row.id).values(image_ref=image_ref))
        return image_ref
    return image_ref
