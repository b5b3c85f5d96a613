"""A job and what it cost, as everybody can check it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dc1.cli.output import facts, moment, money


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a settled job, in halala."""

    quote: int
    actual: int
    provider: int
    platform: int
    refund: int
    used_seconds: float

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Self | None:
        """Read the bill out of a full job object; None before the job is settled."""
        # The settlement is what sets it, to 0 when nothing is charged.
        if job.get("actual_cost_halala") is None:
            return None
        return cls(
            quote=job["cost_halala"],
            actual=job["actual_cost_halala"],
            provider=job["provider_earned_halala"] or 0,
            platform=job["dc1_fee_halala"] or 0,
            refund=job["refunded_halala"] or 0,
            used_seconds=job["used_seconds"] or 0,
        )

    @property
    def adds_up(self) -> bool:
        """Whether the shares make the actual price, and that and the refund the quote."""
        # Counted anew and not believed: this is what a renter holds the marketplace to.
        return self.provider + self.platform == self.actual and self.actual + self.refund == self.quote

    def show(self) -> None:
        """Print the bill for people."""
        facts(
            {
                "quote, held at submit": money(self.quote),
                f"actual, for {self.used_seconds:g} s": money(self.actual),
                "  to the provider": money(self.provider),
                "  to the platform": money(self.platform),
                "refund": money(self.refund),
                "adds up": f"{self.provider} + {self.platform} = {self.actual} and {self.actual} + {self.refund} = {self.quote}"
                if self.adds_up
                else "NO",
            },
            title="Bill",
        )


def show_job(job: Mapping[str, Any]) -> None:
    """Print a full job object and, once it is settled, its bill."""
    facts(
        {
            "job": job["job_id"],
            "type": job["job_type"],
            "model": job["model"],
            "status": job["status"],
            "provider": job["provider_id"],
            "attempt": job["attempt_number"],
            "submitted": moment(job["submitted_at"]),
            "started": moment(job["started_at"]),
            "ended": moment(job["completed_at"]),
            **({"error": job["error"]} if job["error"] else {}),
        }
    )
    bill = Bill.of(job)
    if bill is not None:
        bill.show()
