"""A packed subset on disk: its manifest, the places where it may be, its tables (Parquet) and its arrays (HDF5)."""
