"""The documents of a release: card, notes, provenance, bill of materials, manifest."""
