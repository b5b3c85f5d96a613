"""A standby of PostgreSQL answers lists and history, once it has what was committed before they were asked for."""
