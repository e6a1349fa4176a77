"""The board's own submissions, of which tests copy a few."""

from __future__ import annotations

import shutil
from pathlib import Path

SUBMITTED = Path(__file__).parents[1] / "leaderboard" / "submissions"


def copied(folder: Path, *methods: str, subset: str = "digits-lenet", protocol: str = "regression-folds") -> Path:
    """The folder, with some methods' submissions for a subset under a protocol."""
    for method in methods:
        (folder / method).mkdir(exist_ok=True)
        shutil.copy(SUBMITTED / method / f"{subset}.{protocol}.json", folder / method)
    return folder
