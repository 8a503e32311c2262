"""Comparisons with other libraries and supervisors, side by side on one Crossbar; see README.md."""
