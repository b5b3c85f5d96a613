"""Event streams end with the key that opened them: who stole it does not go on reading."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.sse import events
from tests.contract.expect import answered

ENDS = {"job_queued", "job.submitted", "job_cancelled", "job.cancelled", "end"}


@pytest.mark.parametrize("path", ["/jobs/1/stream", "/jobs/1/lifecycle/stream", "/jobs/1/logs/stream"])
@pytest.mark.parametrize("how", ["revoked", "rotated", "suspended"])
def test_a_stream_ends_with_the_key_that_opened_it(
    market: LocalMarket, renter: Renter, admin: Admin, path: str, how: str
) -> None:
    renter.submit()
    made = answered(renter.post("/renters/me/keys", {"scopes": ["jobs.read"]}), 201)
    with events(market.rest, path, key=made["key"]) as thief, events(market.rest, path, key=renter.key) as owner:
        for stream in (thief, owner):
            assert stream.response.status_code == 200
        if how == "revoked":
            answered(market.rest.rest("DELETE", f"/renters/me/keys/{made['id']}", key=renter.key))
        elif how == "rotated":
            answered(renter.post("/renters/me/rotate-key"))
        else:
            answered(admin.post(f"/admin/renters/{renter.id}/suspend"))
        if how == "suspended":
            # The jobs of such a renter are cancelled, which is what a stream may tell last.
            assert {event.name for stream in (thief, owner) for event in stream} < ENDS
            return
        # Cut, and not ended: the job goes on, and a client whose key is good comes back.
        assert "end" not in [event.name for event in thief]
        if how == "revoked":
            answered(renter.cancel(1))
        assert ("end" in [event.name for event in owner]) == (how == "revoked")


def test_a_stream_ends_when_the_time_of_its_key_is_over(market: LocalMarket, renter: Renter) -> None:
    renter.submit()
    made = answered(renter.post("/renters/me/keys", {"scopes": ["jobs.read"], "expires_at": market.now(60)}), 201)
    with events(market.rest, "/jobs/1/logs/stream", key=made["key"]) as stream:
        market.advance(61)
        assert list(stream) == []
