"""The scale in a model file's header."""

import json
from pathlib import Path

from safetensors.numpy import save_file

from pipeline.model_header import scale_in_header
from pipeline.shipped import shipped_models


def test_the_scale_is_in_the_header_of_our_files(tmp_path: Path) -> None:
    for path in shipped_models().values():
        assert scale_in_header(path) == 4
    path = tmp_path / "other.safetensors"
    for metadata, scale in (
        ({"scale": "2", "config": json.dumps({})}, 2),
        ({"scale": "2"}, None),
        ({"scale": "9" * 5000, "config": ""}, None),
        ({"scale": "0", "config": ""}, None),
        ({}, None),
    ):
        save_file({}, path, metadata)
        assert scale_in_header(path) == scale
    path.write_text("no model")
    assert scale_in_header(path) is None
    assert scale_in_header(tmp_path / "absent") is None
    assert scale_in_header(tmp_path) is None
