"""The leaderboard: submissions as files, the check that recomputes every score, and the page."""
