"""Submit a job with the client, print what it says while it runs, then its output and its bill.

Reads DC1_URL and DC1_RENTER_KEY: `python examples/client_jobs.py "Why is the sea blue?"`.
"""

import sys

from dc1.client import Client

with Client() as client:
    job = client.jobs.submit(sys.argv[1], minutes=3)
    for event in job.stream():
        print(event.text)
    detail = job.wait()
    print(job.output()["response"], detail["actual_cost_halala"], "halala")
