"""`pipeline booru`: a booru on this computer, for trying the pipeline without the real site."""

from pathlib import Path
from typing import Annotated

import typer

DRAWINGS_FOLDER = Path("data/.store/drawings")
DEFAULT_DRAWINGS = 200


def booru(
    port: Annotated[int, typer.Option(min=0, max=65535, help="port; 0: any free one")] = 8931,
    host: Annotated[str, typer.Option(help="address to listen at")] = "127.0.0.1",
    images: Annotated[
        Path | None, typer.Option(help="folder of pictures to serve", show_default=False)
    ] = None,
    drawings: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"how many drawings to make and serve  [default: {DEFAULT_DRAWINGS}]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="number of the first drawing")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="answer some requests for files with this fault; may be given again",
            show_default=False,
        ),
    ] = None,
    list_fault: Annotated[
        list[str] | None,
        typer.Option(
            help="the same for listings and pages; a wrong name lists the right ones",
            show_default=False,
        ),
    ] = None,
    fault_every: Annotated[
        int, typer.Option(min=1, help="of how many requests one gets a fault")
    ] = 10,
) -> None:
    """Serve a Gelbooru 0.2 site from this computer.

    Its pictures are drawings of its own making, or with --images every picture in a folder.
    Drawings are kept in data/.store/drawings and drawn only once.
    """
    from pipeline.booru.app import Site
    from pipeline.booru.drawn_collection import collect_drawings
    from pipeline.booru.fault_injection import FAULTS, FaultySite
    from pipeline.errors import UsageError
    from pipeline.images.collection import collect_folder
    from pipeline.wsgi import Server
    from stages.console import ConsoleProgress

    for name in (*(fault or ()), *(list_fault or ())):
        if name not in FAULTS:
            raise UsageError(f"{name}: no fault; faults are {', '.join(FAULTS)}")
    if images is not None and drawings is not None:
        raise UsageError("--images and --drawings: give one of them")
    progress = ConsoleProgress()
    if images is not None:
        pictures = collect_folder(images, progress)
    else:
        pictures = collect_drawings(drawings or DEFAULT_DRAWINGS, DRAWINGS_FOLDER, seed, progress)
    site = FaultySite(Site(pictures), fault or (), list_fault or (), fault_every)
    booru = Server(site, host, port)
    typer.echo(f"{len(pictures)} pictures at {booru.url}  (Ctrl-C ends)")
    typer.echo(f"  pipeline scrape --site {booru.url} --limit {len(pictures)}")
    typer.echo(f"  gallery-dl 'gelbooru_v02:{booru.url}/index.php?page=post&s=list&tags=all'")
    booru.serve_forever()
