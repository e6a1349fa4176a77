"""The page's JavaScript libraries, taken from their Python packages when it is built: nothing is loaded from another host.

DataTables comes in itables, Vega-Embed with Vega-Lite in vl-convert-python. Both are written as classic scripts, since
browsers refuse module scripts in a page that is opened from a file.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path


def write_libraries(folder: Path) -> dict[str, str]:
    """Write ``tables.js``, ``tables.css`` and ``charts.js`` into a folder; returns the versions of their packages."""
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    bundled = files("itables").joinpath("html")
    tables = bundled.joinpath("dt_bundle.js").read_text(encoding="utf-8")
    (folder / "tables.js").write_text(as_classic_script(tables, "DataTable"), encoding="utf-8")
    (folder / "tables.css").write_text(bundled.joinpath("dt_bundle.css").read_text(encoding="utf-8"), encoding="utf-8")
    charts = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    (folder / "charts.js").write_text(as_classic_script(charts), encoding="utf-8")
    return {package: version(package) for package in ("itables", "vl-convert-python")}


def as_classic_script(module: str, default: str | None = None) -> str:
    """A bundled module without imports as a script of its own scope; its default export becomes ``window[default]``.

    Raises
    ------
    ValueError
        For a module that has no default export where one is wanted.
    """
    exports = re.search(r"\bexport\s*\{([^{}]*)\};?", module)
    body, last = module, ""
    if exports:
        body = module[: exports.start()] + module[exports.end() :]
        found = re.search(r"([\w$]+) as default\b", exports.group(1))
        last = f"window.{default}={found.group(1)};" if found and default else ""
    if default and not last:
        raise ValueError(f"the module for {default} exports no default")
    return f'(()=>{{"use strict";\n{body}\n{last}}})();\n'
