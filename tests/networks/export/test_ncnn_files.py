"""Generators as ncnn's files: the same results at any size, under the blobs' usual names.

Skipped without the packages: pip install ncnn pnnx
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from spandrel.architectures.RCAN.__arch import rcan_arch

from pipeline.errors import PipelineError
from pipeline.ncnn_network import enlarge_with_ncnn
from pipeline.networks import SRResNet
from pipeline.networks.export import comparison, export_ncnn, ncnn_files
from pipeline.networks.files import load_generator
from pipeline.shipped import shipped_models
from tests.networks.export.networks import networks

pytest.importorskip("ncnn", reason="ncnn is not installed here")
pnnx = pytest.importorskip("pnnx", reason="pnnx is not installed here")
NETWORKS = networks()


@pytest.mark.parametrize("name", NETWORKS)
def test_ncnn_gives_what_torch_gives(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    assert export_ncnn(network, tmp_path / "a.param") <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.param"]
    lr = torch.rand(1, 3, 13, 8)
    sr = torch.from_numpy(enlarge_with_ncnn(tmp_path / "a.param", lr.numpy(), 1))
    with torch.inference_mode():
        torch.testing.assert_close(sr, network(lr), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_is_exported(name: str, tmp_path: Path) -> None:
    network = load_generator(shipped_models()[name]).generator
    export_ncnn(network, tmp_path / "a.param", "fp16")
    lr = torch.rand(1, 3, 11, 17)
    sr = torch.from_numpy(enlarge_with_ncnn(tmp_path / "a.param", lr.numpy(), 1))
    with torch.inference_mode():
        torch.testing.assert_close(sr, network(lr), rtol=0, atol=1 / 255)


def test_the_process_that_runs_ncnn_loads_no_pytorch() -> None:
    modules = "import sys, pipeline.ncnn_network, pipeline.processes; print(*sys.modules)"
    command = [sys.executable, "-c", modules]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in names
    assert "torch" not in names


def test_blobs_have_the_names_that_programs_look_for(tmp_path: Path) -> None:
    export_ncnn(NETWORKS["direct"], tmp_path / "a.param")
    layers = [line.split() for line in (tmp_path / "a.param").read_text().splitlines()[2:]]
    assert next(layer for layer in layers if layer[0] == "Input")[4:] == ["data"]
    assert layers[-1][5] == "output"


def test_half_precision_takes_half_the_space(tmp_path: Path) -> None:
    export_ncnn(NETWORKS["direct"], tmp_path / "a.param")
    assert export_ncnn(NETWORKS["direct"], tmp_path / "b.param", "fp16") < 1 / 255
    sizes = [(tmp_path / name).stat().st_size for name in ("a.bin", "b.bin")]
    assert sizes[1] < 0.55 * sizes[0]


def test_files_that_differ_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(comparison.TOLERANCES, "fp32", -1.0)
    with pytest.raises(PipelineError, match=r"a\.param: not written: ncnn's results, .* differ"):
        export_ncnn(NETWORKS["direct"], tmp_path / "a.param")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_pnnx_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "pnnx"
    failing.write_text("#!/bin/sh\necho it ends here >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(pnnx, "EXEC_PATH", str(failing))
    with pytest.raises(PipelineError) as error:
        export_ncnn(NETWORKS["direct"], tmp_path / "a.param")
    expected = "not written: pnnx ended with code 3 and said 'it ends here'"
    assert str(error.value) == f"{tmp_path / 'a.param'}: {expected}"
    assert [path.name for path in tmp_path.iterdir()] == ["pnnx"]


def test_weights_without_their_network_are_not_left(tmp_path: Path) -> None:
    (tmp_path / "a.param").mkdir()
    with pytest.raises(PipelineError, match=r"a\.param: cannot be written: "):
        export_ncnn(SRResNet(blocks=1, features=8, norm="none"), tmp_path / "a.param")
    assert [path.name for path in tmp_path.iterdir()] == ["a.param"]


def test_a_network_on_which_ncnn_crashes_is_one_line(tmp_path: Path) -> None:
    """spandrel's RCAN: pnnx leaves a layer that ncnn lacks, and ncnn ends the process."""
    network = rcan_arch.RCAN(n_resgroups=1, n_resblocks=1, n_feats=16, reduction=4, scale=4)
    torch.save(network.state_dict(), tmp_path / "model.pth")
    generator = load_generator(tmp_path / "model.pth").generator
    with pytest.raises(PipelineError, match=r"r\.param: not written: [^\n]*$"):
        export_ncnn(generator, tmp_path / "r.param")
    assert not (tmp_path / "r.param").exists()


@pytest.mark.parametrize("before", ["old", None])
def test_where_the_second_rename_fails_the_first_is_undone(
    before: str | None, tmp_path: Path
) -> None:
    """A folder that is not empty cannot be replaced by a file."""
    param, weights = tmp_path / "sr.param", tmp_path / "sr.bin"
    if before is not None:
        weights.write_text(before)

    def replace_pair() -> None:
        with ncnn_files._both_or_none(param, weights) as files:
            for file in files:
                file.write_text("new")
            (param / "occupied").mkdir(parents=True)

    with pytest.raises(OSError, match=r"sr\.param"):
        replace_pair()
    assert [path.name for path in tmp_path.iterdir() if path != param] == (
        [] if before is None else ["sr.bin"]
    )
    assert before is None or weights.read_text() == before
