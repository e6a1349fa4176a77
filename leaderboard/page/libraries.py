"""The page's chart library, taken from its Python package when the page is built: nothing is loaded from another host.

Vega-Embed with Vega-Lite comes in vl-convert-python. It is written as a classic script, since browsers refuse module scripts
in a page that is opened from a file.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from nndynbench.storage.files import write_whole

PACKAGE = "vl-convert-python"


def write_libraries(folder: Path, kept: Path | None = None) -> dict[str, str]:
    """Write ``charts.js`` into a folder; returns the versions of packages that it is from.

    Bundling takes seconds: what it gave is kept in ``kept``, by its version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "charts.js").write_bytes(_charts(kept))
    return {PACKAGE: version(PACKAGE)}


def _charts(kept: Path | None) -> bytes:
    path = kept and kept / f"charts-{version(PACKAGE)}.js"
    if path and path.is_file():
        return path.read_bytes()
    import vl_convert

    made = as_classic_script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).encode()
    if path:
        write_whole(path, made)
    return made


def as_classic_script(module: str) -> str:
    """A bundled module without imports as a script of its own scope; what it exports is dropped."""
    exports = re.search(r"\bexport\s*\{([^{}]*)\};?", module)
    body = module[: exports.start()] + module[exports.end() :] if exports else module
    return f'(()=>{{"use strict";\n{body}}})();\n'
