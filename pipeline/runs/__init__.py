"""What a run leaves: its folder, the ledger, where it came from."""
