"""Recorders for training libraries: each module here is for one, imports it, and is imported by nothing else.

`nndynbench.adapters.lightning` (the extra ``lightning``), `nndynbench.adapters.transformers` (``transformers``) and
`nndynbench.adapters.keras` (``keras``, on the torch backend). All have one class, ``RecordRun``.
"""
