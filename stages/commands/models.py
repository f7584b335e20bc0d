"""`pipeline models`: the generators that come with the program."""

import json


def models() -> None:
    """List the generators that come with the program; `--model` takes their names."""
    from pipeline.networks.files import load_generator
    from pipeline.shipped import CLEAN_JPEG, DEFAULT, FOR_JPEG, shipped_models

    uses = {
        DEFAULT: "used where none is named",
        FOR_JPEG: f"used there for JPEG files of a quality below {CLEAN_JPEG} and the like",
    }
    for name, path in shipped_models().items():
        loaded = load_generator(path)
        figures = json.loads(loaded.metadata["figures"])
        metrics = ", ".join(f"{metric} {value}" for metric, value in figures.items())
        use = f" ({uses[name]})" if name in uses else ""
        print(
            f"{name}{use}: {loaded.metadata['architecture']}, {loaded.generator.scale}×, "
            f"{loaded.generator.parameter_count:,} parameters, {path.stat().st_size / 1e6:.1f} MB\n"
            f"  {loaded.metadata['about']}\n  {metrics}\n  {path}"
        )
