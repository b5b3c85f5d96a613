"""Renters and admins, as they speak to the market over REST."""

from typing import Any

import httpx

from dc1.testing.rest import Json, Rest

J3: Json = {"job_type": "llm_inference", "duration_minutes": 3, "params": {"prompt": "اكتب بيتين عن البحر"}}
"""The job that the contract's examples submit: three minutes of inference, 45 halala."""


def answered(response: httpx.Response, status: int = 200) -> Json:
    """Return the JSON object of an answer that must have this status."""
    # An assertion and no exception of httpx: where a test fails, the contract's text of the refusal is what tells why.
    assert response.status_code == status, f"{response.request.method} {response.request.url}: {response.text}"
    body = response.json()
    assert isinstance(body, dict)
    return body


class Renter:
    """A renter, who buys GPU time."""

    def __init__(self, rest: Rest, account_id: int, key: str) -> None:
        self._rest = rest
        self.id = account_id
        self.key = key

    def get(self, path: str, **call: Any) -> httpx.Response:
        """Call GET with the renter's key."""
        return self._rest.get(path, key=self.key, **call)

    def post(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call POST with the renter's key."""
        return self._rest.post(path, json, key=self.key, **call)

    def try_submit(self, job: Json = J3, *, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
        """Submit `job` with some fields changed, J3 unless another is given."""
        return self.post("/jobs/submit", {**job, **changes}, headers=headers)

    def submit(self, job: Json = J3, **changes: Any) -> Json:
        """Submit `job` with some fields changed, which must be accepted; return the new job."""
        accepted: Json = answered(self.try_submit(job, **changes), 201)["job"]
        return accepted

    def job(self, job_id: int | str) -> Json:
        """Return a job as the renter sees it."""
        shown: Json = answered(self.get(f"/jobs/{job_id}"))["job"]
        return shown

    def cancel(self, job_id: int | str) -> httpx.Response:
        """Ask for a job to be cancelled, and return the whole answer."""
        return self.post(f"/jobs/{job_id}/cancel")

    def balance(self) -> int:
        """Return what the renter may spend, in halala."""
        spendable: int = self.wallet()["balance_halala"]
        return spendable

    def wallet(self) -> Json:
        """Return the renter's wallet."""
        return answered(self.get("/renters/balance"))

    def top_up(self, halala: int) -> Json:
        """Put halala into the wallet."""
        return answered(self.post("/renters/topup", {"amount_halala": halala}))


class Admin:
    """An admin, who operates the market."""

    def __init__(self, rest: Rest, token: str) -> None:
        self._rest = rest
        self.token = token

    def get(self, path: str, **call: Any) -> httpx.Response:
        """Call GET with the admin token."""
        return self._rest.get(path, key=self.token, **call)

    def post(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call POST with the admin token."""
        return self._rest.post(path, json, key=self.token, **call)

    def patch(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call PATCH with the admin token."""
        return self._rest.patch(path, json, key=self.token, **call)

    def approve(self, provider_id: int) -> Json:
        """Approve a provider."""
        return answered(self.patch(f"/admin/providers/{provider_id}/approve"))

    def dashboard(self) -> Json:
        """Return the dashboard."""
        return answered(self.get("/admin/dashboard"))

    def stats(self) -> Json:
        """Return the dashboard's numbers."""
        numbers: Json = self.dashboard()["stats"]
        return numbers

    def adjust(self, renter_id: int, halala: int) -> Json:
        """Add halala to a renter's wallet, or take them out of it."""
        return answered(self.post(f"/admin/renters/{renter_id}/balance", {"amount_halala": halala}))

    def finance(self) -> Json:
        """Return the summary of the books."""
        return answered(self.get("/admin/finance/summary"))
