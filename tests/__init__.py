"""Tests of the template, and their helpers in `support`."""
