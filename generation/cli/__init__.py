"""The command line, ``python -m generation``: a module per group of commands; each is a thin layer over this folder."""

from __future__ import annotations

from generation.cli import borrowing, packing, planning, publishing, repeating, training
from nndynbench.cli.console import CommandLine

app = CommandLine(help="Plan, train, watch, pack and repeat a subset.")

app.command("plan")(planning.plan)
app.command("train")(training.train)
app.command("status")(training.status)
app.command("queue")(training.work_through_queue)
app.command("pack")(packing.pack)
app.command("retrain")(repeating.retrain)
app.command("tier")(repeating.tier)
app.command("bundle")(packing.bundle)
app.command("restore")(packing.restore)
app.command("cut")(borrowing.cut_folder)
app.command("join")(borrowing.join_folder)
app.command("borrow")(borrowing.borrow)
app.command("draw-grid")(planning.draw_grid)
app.command("card")(publishing.card)
app.command("publish")(publishing.publish)
