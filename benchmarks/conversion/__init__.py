"""Converted models, faults put into them, and who notices: the parts of conversion_faults.py."""
