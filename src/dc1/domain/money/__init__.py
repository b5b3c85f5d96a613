"""Prices, settlement and payouts in integer halala."""
