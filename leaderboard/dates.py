"""When a submission last changed, from the repository's history."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path


def changed_dates(folder: Path) -> dict[Path, datetime.date]:
    """When each file below a folder last changed on the branch itself: the dates of a merged commit are its author's to
    choose. Empty without a repository, or before its first commit.
    """
    command = [
        "git",
        "-c",
        "core.quotePath=off",
        "log",
        "--first-parent",
        "-m",
        "--format=:%cs",
        "--name-only",
        "--relative",
        "--no-renames",
        "--",
        ".",
    ]
    try:
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    dates: dict[Path, datetime.date] = {}
    date = None
    for line in filter(None, said.splitlines()):
        if line.startswith(":"):
            date = datetime.date.fromisoformat(line[1:])
        elif date:
            dates.setdefault(folder / line, date)
    return dates
