"""`pipeline blend`: weights interpolated between two generators."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.shipped import check_model
from stages.output_files import check_output


def blend(
    distortion: Annotated[Path, typer.Argument(help="generator with the least distortion")],
    perception: Annotated[Path, typer.Argument(help="generator with the best perception")],
    alpha: Annotated[
        float, typer.Option(min=0, max=1, help="0: the first one's weights, 1: the second one's")
    ] = 0.5,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="safetensors file that is written")
    ] = Path("models/blend.safetensors"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file")] = False,
) -> None:
    """Write the generator whose every weight lies between those of two others.

    The trade-off by one number, without training: measure it with
    `pipeline evaluate --models NAME=FILE`. Best where one was trained from the other.
    """
    from pipeline.files import sha256_of, writing

    if output.resolve() in (distortion.resolve(), perception.resolve()):
        raise UsageError(f"--output: {output} is one of the two; name another file")
    check_output(output, overwrite)
    named = {"distortion": distortion, "perception": perception}
    for name, path in named.items():
        check_model(name, path)
    # These load PyTorch.
    from pipeline.networks.blending import blend_generators
    from pipeline.networks.files import load_named_generator, save_generator

    first, second = (load_named_generator(name, path).generator for name, path in named.items())
    metadata = {
        "blend_alpha": str(alpha),
        "blend_distortion_sha256": sha256_of(distortion),
        "blend_perception_sha256": sha256_of(perception),
    }
    with writing(output):
        save_generator(output, blend_generators(first, second, alpha), metadata)
    print(f"{output}: {1 - alpha:g} of {distortion}, {alpha:g} of {perception}")
