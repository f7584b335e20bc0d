from pathlib import Path

from pipeline.images.earlier import EarlierImages


def test_only_folders_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    EarlierImages(tmp_path, "mine").forget_others()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".DS_Store", "mine"]
