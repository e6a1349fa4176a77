"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

FirstEpoch = Annotated[
    int | None, typer.Option(help="the epoch of the lowest checkpoint: 0, the initialisation, or 1, after the first epoch")
]
Pattern = Annotated[str | None, typer.Option(help=r"where in a file's name its epoch stands, such as 'model_(\d+)'")]
StepsPerEpoch = Annotated[int | None, typer.Option(help="for checkpoints that say their training steps")]
