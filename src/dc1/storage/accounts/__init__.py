"""Renters, everybody's keys, wallets and webhooks, and what an Idempotency-Key keeps."""
