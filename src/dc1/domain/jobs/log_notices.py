"""What daemons say in a job's log of their own accord, which is no sign that the renter's program has worked."""

NO_NETWORK = "this provider gives containers no network"
ENGINE_AWAY = "the provider's container engine was away; what the program printed meanwhile is missing here"

# Notices of what was cut or lost are not among them: they follow lines that the program printed.
BEFORE_WORK = frozenset({NO_NETWORK, ENGINE_AWAY})
