"""The page: a static site that works from a file and from any web server, and calls no other host."""

from leaderboard.page.site import BoardContent, build_site, need_free_or_older

__all__ = ["BoardContent", "build_site", "need_free_or_older"]
