"""The whole marketplace on this machine, once through, for somebody who watches."""

import contextlib
import json
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from dc1.cli.demo.market import DemoMarket, own_market
from dc1.cli.demo.walk import DemoAccount, summary, walk
from dc1.cli.output import console, encodable, facts
from dc1.stop_signals import stop_signals


def show(keep: bool, as_json: bool) -> None:
    """Run the marketplace, have a job done there, and say what came of it."""
    started = time.monotonic()
    _end_in_order()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        console.print("Starting a marketplace of its own in a temporary directory …")
        with own_market() as market:
            console.print(f"Envoy and the server answer at {market.url} after {time.monotonic() - started:.1f} s")
            customer, owner, run, books = walk(market)
            seconds = time.monotonic() - started
            outcome = summary(market, run, books, seconds)
            console.print(f"\nEverything adds up. {seconds:.1f} s in all.", style="bold green")
            if keep:
                _serve(market, customer, owner)
    if as_json:
        print(encodable(json.dumps(outcome, ensure_ascii=False, indent=2)))


def _serve(market: DemoMarket, customer: DemoAccount, owner: DemoAccount) -> None:
    facts(
        {
            "DC1_URL": market.url,
            "DC1_RENTER_KEY": customer.key,
            "DC1_PROVIDER_KEY": owner.key,
            "DC1_ADMIN_TOKEN": market.admin_token,
        },
        title="\nServing until Ctrl-C; set these to go on by hand",
    )
    # Ctrl-C is how this is meant to end, so it is no failure.
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            # A server that dies meanwhile ends the demo, with the last lines of its log.
            market.up.check()
            time.sleep(0.5)


def _end_in_order() -> None:
    for number in stop_signals():
        # Ctrl-C is Python's own exception, which a demo that is kept waits for.
        if number is not signal.SIGINT:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # A closed terminal sends several: the next one would end the clean-up half-way.
    for each in stop_signals():
        signal.signal(each, signal.SIG_IGN)
    # As an exception, so that every process the demo started is stopped on the way out.
    sys.exit(128 + number)
