"""The documents of a release: card, notes, provenance, bill of materials, manifest."""

from mlbuild.release.documents.notes import notes_text
from mlbuild.release.documents.write import write_documents

__all__ = ["notes_text", "write_documents"]
