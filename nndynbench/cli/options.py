"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Root = Annotated[str | None, typer.Option(help="a folder of packed subsets to read instead of the usual places")]
FirstEpoch = Annotated[
    int | None, typer.Option(help="the epoch of the first checkpoint: 0 (the initialisation) or 1 (after the first epoch)")
]
Pattern = Annotated[str | None, typer.Option(help=r"a pattern that finds the epoch in a file's name, such as 'model_(\d+)'")]
StepsPerEpoch = Annotated[int | None, typer.Option(help="training steps per epoch, for checkpoints that state their steps")]
