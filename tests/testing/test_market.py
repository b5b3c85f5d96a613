"""A market in a process, as the package's own description starts one."""

from dc1.testing.market import LocalMarket


def test_a_job_goes_through_a_market_that_nobody_prepared() -> None:
    with LocalMarket.running() as market:
        renter, provider = market.add_renter(), market.add_provider()
        job = renter.submit()
        provider.next()
        market.advance(95)
        settled = provider.result(job["id"], "ok")
        directory = market.data_directory

    assert settled["billing"]["used_seconds"] == 95
    assert not directory.exists()


def test_settings_of_a_market_are_the_servers() -> None:
    with LocalMarket.running(starter_credit_halala=7) as market:
        assert market.add_renter().balance() == 7
