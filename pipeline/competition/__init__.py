"""What a competition is: its contract, its sources, its prepared data."""
