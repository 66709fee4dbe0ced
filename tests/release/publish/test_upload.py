"""A part of a file as the body of a request."""

from pathlib import Path

from mlbuild.release.publish.upload import Upload


def test_a_part_begins_and_ends_where_it_should_however_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(100)))
    told: list[int] = []
    with Upload(file, 30, told.append, start=50) as part:
        assert len(part) == 30
        assert part.read(20) + part.read(20) + part.read(20) == bytes(range(50, 80))
    assert sum(told) == 30
    with Upload(file, 30, start=50) as part:
        assert b"".join(part) == bytes(range(50, 80))
    with part:  # tried again
        assert part.read(-1) == bytes(range(50, 80))
