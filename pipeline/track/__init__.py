"""What the competitor looks at between runs: the leaderboard page and the trackers."""
