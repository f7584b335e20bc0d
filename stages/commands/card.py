"""`pipeline card`: what a generator's file says of itself, as a model card."""

from pathlib import Path
from typing import Annotated

import typer

from stages.output_files import check_output


def card(
    model: Annotated[str, typer.Argument(help="one of `pipeline models`, or a generator's file")],
    openmodeldb: Annotated[
        bool, typer.Option("--openmodeldb", help="as OpenModelDB's JSON instead of Markdown")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="file that is written; standard output if unset"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file")] = False,
) -> None:
    """Write a model card from the metadata of a generator's file.

    Markdown with the YAML head that the Hugging Face Hub reads. What the file does not know is left
    out, or null where OpenModelDB requires it. Check the text before you publish it.
    """
    from pipeline.files import write_text, writing
    from pipeline.shipped import model_file

    if output is not None:
        check_output(output, overwrite)
    file = model_file(model)
    # These load PyTorch.
    from pipeline.cards.facts import ModelFacts
    from pipeline.cards.hugging_face import hugging_face_card
    from pipeline.cards.openmodeldb import openmodeldb_card

    facts = ModelFacts.of(file)
    text = openmodeldb_card(facts) if openmodeldb else hugging_face_card(facts)
    if output is None:
        print(text, end="")
        return
    with writing(output):
        write_text(output, text)
    print(f"{output}: the card of {facts.id}")
