"""The parts of the migration to 0.6.0, `split_harness.py`."""
