"""Recorders for training libraries. Each module here is for one library, imports it, and is imported by nothing else.

They are `nndynbench.adapters.lightning` (the extra ``lightning``), `nndynbench.adapters.transformers` (``transformers``) and
`nndynbench.adapters.keras` (``keras``, on the torch backend). Each has one class, ``RecordRun``.
"""
