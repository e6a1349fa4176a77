"""``python -m nndynbench``, the same as the command ``nndynbench``."""

from nndynbench.cli import main

main()
