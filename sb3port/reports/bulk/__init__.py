"""Bulk runs on paper, from the records of their ledger alone."""
