"""The stage `evaluate`: compare the generator with interpolation and other methods."""

import subprocess

from pipeline.named_files import check_inputs, evaluation_inputs
from pipeline.params import EvaluateParams
from stages.console import ConsoleProgress
from stages.paths import GENERATOR, MANIFEST, REPORTS, RESIZED
from stages.runner import Stage, run_stage, warn_of_unwatched

CODE = ("pipeline", "stages", "params.yaml")


def run(params: EvaluateParams, progress: ConsoleProgress) -> None:
    """Compare the generator with interpolation on a split that it was not trained on.

    Reads data/manifest.csv, data/resized and models/generator.safetensors; with --hr-folder the
    images of that folder instead of the manifest's. Writes metrics, tables and figures into
    reports/, and reports/index.html, the page to open in a browser.
    """
    inputs = evaluation_inputs(params)
    check_inputs(inputs)
    warn_of_unwatched(inputs, progress)
    for name, cause in params.without_effect.items():
        if getattr(params, name) != EvaluateParams.model_fields[name].default:
            progress.note(f"note: evaluate.{name} has no effect, because evaluate.{cause} is set")

    from pipeline.evaluation.provenance import Inputs
    from pipeline.evaluation.run import evaluate

    evaluation = evaluate(
        params, Inputs(MANIFEST, RESIZED, GENERATOR, revision()), REPORTS, progress
    )
    for method, scores in evaluation.means.items():
        distances = [f"{key} {scores[key]:.4f}" for key in ("lpips", "swd") if key in scores]
        print(f"{method}: PSNR_Y {scores['psnr_y']:.2f} dB, {', '.join(distances)}")
    print(f"{REPORTS / 'index.html'}: the report, to open in a browser")


def revision() -> str | None:
    """Return the commit of the code, noting uncommitted changes; None where git cannot tell."""
    commit = _git("rev-parse", "HEAD")
    # Without its lock git writes nothing, and so needs no room on the disk.
    changed = _git("--no-optional-locks", "status", "--porcelain", "--", *CODE)
    if not commit or changed is None:
        return None
    return f"{commit}, with changes that are not committed" if changed else commit


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None where it fails."""
    try:
        result = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


STAGE = Stage("evaluate", run, REPORTS)

if __name__ == "__main__":
    run_stage(STAGE)
