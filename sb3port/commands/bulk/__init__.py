"""Many models at once: which ones, what is done with each, where it goes, and the ledger of all that."""
