"""`pipeline booru`: serve a booru from this computer, to try the pipeline without a real site."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stages.paths import STORE

DRAWINGS_FOLDER = STORE / "drawings"
DEFAULT_DRAWINGS = 200


Port = Annotated[int, typer.Option(min=0, max=65535, help="port; 0: any free one")]
Host = Annotated[str, typer.Option(help="address to listen at")]
Images = Annotated[
    Path | None, typer.Option(help="folder of pictures to serve", show_default=False)
]
Drawings = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=f"how many drawings to make and serve  [default: {DEFAULT_DRAWINGS}]",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="number of the first drawing")]
FileFaults = Annotated[
    list[str] | None,
    typer.Option(
        help="answer some requests for files with this fault; may be given again",
        show_default=False,
    ),
]
ListFaults = Annotated[
    list[str] | None,
    typer.Option(
        help="the same for listings and pages; a wrong name prints all names",
        show_default=False,
    ),
]
FaultEvery = Annotated[int, typer.Option(min=1, help="one of how many requests gets a fault")]


def booru(
    port: Port = 8931,
    host: Host = "127.0.0.1",
    images: Images = None,
    drawings: Drawings = None,
    seed: Seed = 0,
    fault: FileFaults = None,
    list_fault: ListFaults = None,
    fault_every: FaultEvery = 10,
) -> None:
    """Serve a Gelbooru 0.2 and Danbooru 2 site from this computer.

    Its pictures are drawings made by this program, or with --images every picture in a folder.
    Drawings are cached in data/.store/drawings and drawn only once.
    """
    from pipeline.booru.app import Site
    from pipeline.booru.drawn_collection import collect_drawings
    from pipeline.booru.fault_injection import FAULTS, FaultInjector
    from pipeline.errors import Interrupted, UsageError
    from pipeline.images.collection import collect_folder
    from pipeline.wsgi import Server
    from stages.console import ConsoleProgress

    for name in (*(fault or ()), *(list_fault or ())):
        if name not in FAULTS:
            raise UsageError(f"{name}: no such fault; faults are {', '.join(FAULTS)}")
    if images is not None and drawings is not None:
        raise UsageError("--images and --drawings: give one of them")
    progress = ConsoleProgress()
    if images is not None:
        pictures = collect_folder(images, progress)
    else:
        pictures = collect_drawings(drawings or DEFAULT_DRAWINGS, DRAWINGS_FOLDER, seed, progress)
    site = FaultInjector(Site(pictures), fault or (), list_fault or (), fault_every)
    server = Server(site, host, port)
    print(f"{len(pictures)} pictures at {server.url}  (Ctrl-C ends)")
    print(f"  pipeline scrape --site {server.url} --limit {len(pictures)}")
    print(f"  gallery-dl 'gelbooru_v02:{server.url}/index.php?page=post&s=list&tags=all'")
    print("as a Danbooru 2 site:")
    print(f"  pipeline scrape --site {server.url} --form danbooru2 --limit {len(pictures)}")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
