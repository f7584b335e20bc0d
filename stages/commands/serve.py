"""`pipeline serve`: a web page on this computer that enlarges pictures."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.device_names import DEVICE_NAMES, check_device_name
from pipeline.errors import Interrupted


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="port; 0: any free one")] = 8932,
    host: Annotated[
        str, typer.Option(help="address to listen at; others than this computer's let others in")
    ] = "127.0.0.1",
    model: Annotated[
        Path | None,
        typer.Option(
            help="a generator's file, offered beside the models that come with the program",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help=DEVICE_NAMES)] = "auto",
    behind_proxy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="name by which browsers reach a proxy in front; its headers X-Forwarded-Proto "
            "and X-Forwarded-Host are then believed",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a page that enlarges the pictures dropped on it, and sends nothing elsewhere.

    A picture has 64 MB and 16 million pixels at most, or 4 million to become eight times as large.
    """
    from pipeline.shipped import AUTO, DEFAULT, check_model, shipped_models

    check_device_name(device)
    if model is not None:
        check_model("model", model)
    # These load PyTorch.
    from pipeline.devices import pick_device
    from pipeline.networks.files import load_named_generator
    from pipeline.upscaling.app import UpscaleApp
    from pipeline.wsgi import Server

    pick_device(device)
    shipped = sorted(shipped_models(), key=lambda name: name != DEFAULT)
    models = {name: name for name in (AUTO, *shipped)}
    restoring = []
    if model is not None:
        models = {str(model): str(model)} | models
        if load_named_generator("model", model).generator.scale == 1:
            restoring.append(str(model))
    app = UpscaleApp(models, device, restoring)
    server = Server(app, host, port, app.close, behind_proxy)
    print(f"{server.url}  (Ctrl-C ends)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
