"""Lack of memory during an evaluation, as one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import PipelineError
from pipeline.machine_errors import is_memory_fault


@contextmanager
def naming_memory_faults(work: str) -> Iterator[None]:
    """Raise `PipelineError` with what the block does, `work`, where memory runs out in it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_fault(error):
            raise
        raise PipelineError(
            f"{work}: memory ran out; measure on a device that has more (evaluate.device), or "
            "leave out large images"
        ) from None
