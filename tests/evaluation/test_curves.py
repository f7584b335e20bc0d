"""Training curves read from DVCLive's folder."""

import pytest
from dvclive import Live

from pipeline.errors import PipelineError
from pipeline.evaluation.curves import read_training_curves


def test_reads_what_dvclive_writes(tmp_path):
    with Live(str(tmp_path), dvcyaml=None, report=None, save_dvc_exp=False) as live:
        for step in (0, 10, 20):
            live.step = step
            live.log_metric("val/psnr_y", 20 + step)
            live.log_metric("train/generator", 1 / (step + 1))
            live.next_step()
    generator, psnr = read_training_curves(tmp_path / "plots/metrics")
    assert (generator.title, generator.unit) == ("train/generator", "")
    assert (psnr.title, psnr.unit) == ("Validation: PSNR of Y", "dB")
    assert psnr.last_value == "40"
    assert psnr.frame.x_range == (0, 20)


def test_all_curves_have_the_steps_of_the_longest_and_its_phases(tmp_path):
    (tmp_path / "l1.tsv").write_text("step\tl1\n10\t3\n20\t2\n")
    (tmp_path / "loss.tsv").write_text("step\tloss\n10\t3\n40\t2\n")
    short, whole = read_training_curves(tmp_path, adversarial_from=20)
    assert short.frame.x_range == whole.frame.x_range == (0, 40)
    assert short.phases.line == whole.phases.line == whole.frame.x(20)


def test_no_folder_no_curves(tmp_path):
    assert read_training_curves(tmp_path / "plots/metrics") == []


def test_values_that_are_no_finite_numbers_are_left_out(tmp_path):
    (tmp_path / "loss.tsv").write_text("step\tloss\n0\t1.5\n1\tnan\n2\tinf\n3\t2.5\n")
    (tmp_path / "never.tsv").write_text("step\tnever\n0\tnan\n")
    (loss,) = read_training_curves(tmp_path)
    assert len(loss.points.split()) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a\tb\n1\t2\n", "not a curve"),
        (b"step\tloss\n0\tmuch\n", "no number"),
        (b"", "not a curve"),
        (b"\xff\xd8\xff\xe0", "no table of text"),
        (b"step\tloss\n0\t\xff\n", "no table of text"),
        (b"step\tloss\n0\t" + b"1" * 200_000, "no table of text"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, text, reason):
    (tmp_path / "loss.tsv").write_bytes(text)
    with pytest.raises(PipelineError, match=rf"loss\.tsv: .*{reason}"):
        read_training_curves(tmp_path)
