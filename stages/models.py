"""`pipeline models`: the generators that come with the program."""

import json


def models() -> None:
    """List the generators that come with the program; `--model` takes their names."""
    from pipeline.networks.files import load_generator
    from pipeline.shipped import DEFAULT, shipped_models

    for name, path in shipped_models().items():
        loaded = load_generator(path)
        count = sum(parameter.numel() for parameter in loaded.generator.parameters())
        figures = json.loads(loaded.metadata["figures"])
        told = ", ".join(f"{metric} {value}" for metric, value in figures.items())
        default = " (used where none is named)" if name == DEFAULT else ""
        print(
            f"{name}{default}: {loaded.metadata['architecture']}, {loaded.generator.scale}×, "
            f"{count:,} parameters, {path.stat().st_size / 1e6:.1f} MB\n"
            f"  {loaded.metadata['about']}\n  {told}\n  {path}"
        )
