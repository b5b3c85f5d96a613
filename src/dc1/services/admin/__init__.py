"""The services of admins: dashboard, providers, renters, jobs and money."""
