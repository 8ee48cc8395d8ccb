"""What the recorder asks of CUDA, in which order, and what is left behind where that fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from ddcodec.distill.cuda_graph import CudaRecorder

POOL = (0, 7)


class Cuda:
    """The part of ``torch.cuda`` that the recorder calls, as a list of what was called."""

    def __init__(self, broken_end: bool = False) -> None:
        self.calls: list[str] = []
        self.broken_end = broken_end

    def note(self, name: str, result: Any = None) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return result

        return called

    def stream(self) -> Any:
        made = type("Stream", (), {"wait_stream": lambda own, other: self.calls.append("wait")})
        return made()

    def graph(self) -> Any:
        cuda = self

        class Graph:
            def capture_begin(self, pool: object, capture_error_mode: str) -> None:
                assert (pool, capture_error_mode) == (POOL, "thread_local")
                cuda.calls.append("begin")

            def capture_end(self) -> None:
                cuda.calls.append("end")
                if cuda.broken_end:
                    raise RuntimeError("CUDA error: the capture was invalidated")

            def replay(self) -> None:
                cuda.calls.append("replay")

        return Graph()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "device": lambda device: nullcontext(),
            "Stream": self.stream,
            "current_stream": self.stream,
            "stream": lambda stream: nullcontext(),
            "graph_pool_handle": lambda: POOL,
            "synchronize": self.note("synchronize"),
            "empty_cache": self.note("empty cache"),
            "CUDAGraph": self.graph,
            "current_device": lambda: 0,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        end = self.note("pool ended")
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)


def test_work_runs_once_before_it_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    cuda.install(monkeypatch)
    replay = CudaRecorder(torch.device("cuda:1"))(cuda.note("work"))
    replay()
    assert [call for call in cuda.calls if call != "wait"] == [
        *("work", "synchronize", "empty cache", "begin", "work", "end", "replay")
    ]


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), KeyboardInterrupt()])
@pytest.mark.parametrize("broken_end", [True, False])
def test_an_error_while_recording_comes_out_and_leaves_no_capture_open(
    error: BaseException, broken_end: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = Cuda(broken_end)
    cuda.install(monkeypatch)
    runs = iter([None, error])

    def work() -> None:
        found = next(runs)
        if found is not None:
            raise found

    with pytest.raises(type(error)) as raised:
        CudaRecorder(torch.device("cuda"))(work)
    assert raised.value is error
    assert cuda.calls[-2:] == (["end", "pool ended"] if broken_end else ["begin", "end"])


def test_a_recording_that_cannot_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(broken_end=True)
    cuda.install(monkeypatch)
    with pytest.raises(RuntimeError, match="invalidated"):
        CudaRecorder(torch.device("cuda"))(lambda: None)
    assert cuda.calls[-1] == "pool ended"
