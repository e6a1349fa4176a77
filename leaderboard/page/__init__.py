"""The page: a static site that works from a file and from any web server, and calls no other host."""

from leaderboard.page.site import build_site

__all__ = ["build_site"]
