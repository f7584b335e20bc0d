"""CUDA graphs: the thousand kernels of a training step, launched at once.

A step on small batches takes a GPU less time than the host needs to launch its kernels one by one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# cuDNN chooses its algorithms, and optimisers make their moments, in the first calls.
WARM_UP_CALLS = 3

Outputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: Outputs


class Graphed:
    """Call `function(kind, *inputs)`, at first directly, later as a CUDA graph of what it launched.

    Each kind, and each set of shapes, has a graph of its own, captured after `WARM_UP_CALLS` calls.
    All graphs share one memory pool, beside the memory of the first calls. Where one cannot be
    captured, mostly for lack of memory, `report` is called once, and all calls stay direct.

    The function must launch the same kernels for the same kind and shapes, must not read a value
    back from the device, and must keep what outlives a call in tensors that it changes in place.
    """

    def __init__(
        self,
        function: Callable[..., Outputs],
        device: torch.device,
        report: Callable[[str], None],
    ) -> None:
        self._function, self._report = function, report
        self._usable = True
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        self._calls: Counter[Hashable] = Counter()
        self._captured: dict[Hashable, _Captured] = {}

    def __call__(self, kind: Hashable, *inputs: Tensor) -> Outputs:
        """Return the function's outputs, copied out of the graph's memory."""
        key = (kind, *(tensor.shape for tensor in inputs))
        captured = self._captured.get(key) or self._capture_when_warm(key, kind, inputs)
        if captured is None:
            return self._call(kind, inputs)
        for static, value in zip(captured.inputs, inputs, strict=True):
            static.copy_(value, non_blocking=True)
        captured.graph.replay()
        # The next replay of any graph may use this memory again.
        return {name: value.clone() for name, value in captured.outputs.items()}

    def _capture_when_warm(
        self, key: Hashable, kind: Hashable, inputs: tuple[Tensor, ...]
    ) -> _Captured | None:
        self._calls[key] += 1
        if not self._usable or self._calls[key] <= WARM_UP_CALLS:
            return None
        try:
            self._captured[key] = self._capture(kind, inputs)
        except RuntimeError as error:
            # Nothing was computed, so the function can still be called directly.
            self._usable = False
            self._captured.clear()
            torch.cuda.empty_cache()
            reason = str(error).partition("\n")[0]
            self._report(f"steps are not replayed as CUDA graphs, and may be slower: {reason}")
            return None
        return self._captured[key]

    def _call(self, kind: Hashable, inputs: tuple[Tensor, ...]) -> Outputs:
        """Call the function on the capturing stream: gradients remember their stream."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outputs = self._function(kind, *inputs)
        current.wait_stream(self._stream)
        return outputs

    def _capture(self, kind: Hashable, inputs: tuple[Tensor, ...]) -> _Captured:
        static = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        # Memory of the first calls stays in PyTorch's cache, which a graph cannot use.
        torch.cuda.empty_cache()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            outputs = self._function(kind, *static)
        return _Captured(graph, static, outputs)
