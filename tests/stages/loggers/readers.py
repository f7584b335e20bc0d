"""What the logs of other programs hold, read as these programs do."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK = 32768
HEADER = struct.Struct("<IHB")


def tensorboard_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag → steps and values of all event files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), {"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in tags}


def wandb_history(folder: Path) -> list[tuple[int, dict[str, object]]]:
    """Steps and values of the one offline run in the folder of a run."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    history = []
    for data in _records(path.read_bytes()):
        record = Record.FromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(item.nested_key) or item.key: item for item in record.history.item}
            values = {name: json.loads(item.value_json) for name, item in items.items()}
            history.append((record.history.step.num, values))
    return history


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format, whose file has a header of seven bytes."""
    position, parts = 7, b""
    while position + HEADER.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:
            position += left
            continue
        _, length, kind = HEADER.unpack_from(data, position)
        position += HEADER.size
        parts += data[position : position + length]
        position += length
        # 1: a whole record; 2, 3, 4: its first, middle and last part.
        if kind in (1, 4):
            yield parts
            parts = b""
