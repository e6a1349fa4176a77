"""Looks through the code that all fingerprints share. The server imports this once a method takes fingerprints, so that it
is done once and not in each fit.
"""

from contextlib import suppress

from nndynbench.fingerprint import environment
from nndynbench.sources import ChangedCodeError, code_of, package_code

with suppress(ChangedCodeError):  # then functions have no fingerprints
    environment()
    code_of("nndynbench")
    for module in ("columns", "centralities", "features", "graphs", "signatures"):
        code_of(f"nndynbench.{module}")
    for library in ("numpy", "scipy", "sklearn", "pandas"):
        package_code(library)
