"""Which of the jobs that wait comes first."""

from typing import Protocol

from dc1.domain.money.pricing import PRICING_CLASSES


class Waiting(Protocol):
    """A job in the queue."""

    @property
    def id(self) -> int:
        """Row id."""
        ...

    @property
    def pricing_class(self) -> str:
        """One of the pricing classes."""
        ...

    @property
    def priority(self) -> int:
        """1 to 3, 1 first."""
        ...

    @property
    def submitted_at_ms(self) -> int:
        """When the job was submitted."""
        ...


CLASS_RANK = {name: rank for rank, name in enumerate(PRICING_CLASSES)}
_RANK_OF_TEXT = {str(name): rank for name, rank in CLASS_RANK.items()}


def class_rank(name: str) -> int:
    """Return the rank of a class among all; one that only a newer server knows comes last."""
    # By the plain text: a member of an enum is found by its name, and a text of a newer server is none.
    return _RANK_OF_TEXT.get(str(name), len(_RANK_OF_TEXT))


def queue_key(job: Waiting) -> tuple[int, int, int, int]:
    """Return the job's place in the one order that positions, scheduler and polls share; smaller goes first."""
    return (class_rank(job.pricing_class), job.priority, job.submitted_at_ms, job.id)
