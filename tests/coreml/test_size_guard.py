"""What the guard expects of torch's calls, against what they really make."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
from torch.nn import functional  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

pytestmark = pytest.mark.toolchain

X = torch.arange(240.0).reshape(2, 4, 5, 6)
INDEX = torch.tensor([0, 1, 1, 0, 1])

CALLS = {
    "broadcasting": lambda: X[:1] + X[:, :1],
    "a column and a row": lambda: X[0, 0, 0][:, None] * X[0, 0, 0],
    "where": lambda: torch.where(X[0, :1] > 3, X, 0.0),
    "concatenation": lambda: torch.cat([X, X, X], 1),
    "stacking": lambda: torch.stack([X, X, X, X]),
    "matrices": lambda: X @ X.mT,
    "a batch broadcast": lambda: torch.matmul(X[:, :1], X[0].mT),
    "a vector": lambda: torch.matmul(X, X[0, 0, 0]),
    "linear": lambda: functional.linear(X, torch.ones(30, 6)),
    "convolution": lambda: torch.conv2d(X, torch.ones(9, 4, 2, 2), None, 1, 3),
    "strided convolution": lambda: torch.conv2d(X, torch.ones(8, 2, 2, 2), None, 2, 3, 2, 2),
    "convolution of one picture": lambda: torch.conv2d(X[0], torch.ones(9, 4, 2, 2)),
    "convolution of a row": lambda: torch.conv1d(X[0], torch.ones(9, 5, 2), None, 1, 4),
    "transposed convolution": lambda: torch.conv_transpose2d(
        X, torch.ones(4, 3, 3, 3), None, 3, 0, 2, 2, 3
    ),
    "attention": lambda: functional.scaled_dot_product_attention(X, X, X),
    "repeat": lambda: X.repeat(2, 3, 1, 1, 2),
    "tile": lambda: torch.tile(X, (2, 3)),
    "padding": lambda: functional.pad(X, (3, 4, 0, 5)),
    "reflection": lambda: functional.pad(X, (3, 4, 1, 2), mode="reflect"),
    "full": lambda: torch.full((7, 8, 9), 1.0),
    "zeros": lambda: torch.zeros(7, 8, 9),
    "new zeros": lambda: X.new_zeros(7, 8, 9),
    "arange": lambda: torch.arange(1000),
    "arange with a step": lambda: torch.arange(-50, 50, 3),
    "eye": lambda: torch.eye(20),
    "upsampled to a size": lambda: functional.interpolate(X, size=(30, 40)),
    "upsampled by a scale": lambda: functional.interpolate(X, scale_factor=3.5, mode="bilinear"),
    "upsampled row": lambda: functional.interpolate(X[0], scale_factor=4.0, mode="linear"),
    "einsum": lambda: torch.einsum("abcd,abed->abce", X, X),
    "outer by einsum": lambda: torch.einsum("a,b->ab", X[0, 0, 0], X[0, 0, 0]),
    "outer": lambda: torch.outer(X[0, 0, 0], X[0, 0, 0]),
    "index_select": lambda: X.index_select(2, INDEX.repeat(4)),
    "index": lambda: X[:, INDEX],
    "two indices": lambda: X[INDEX[:, None], INDEX],
    "gather": lambda: torch.gather(X[0, 0], 1, INDEX[:, None].repeat(1, 9)),
    "embedding": lambda: functional.embedding(INDEX.repeat(10), X[0, 0]),
    "one_hot": lambda: functional.one_hot(INDEX, 50),
    "windows": lambda: functional.unfold(X, (2, 2), padding=1),
    "distances": lambda: torch.cdist(X[0, 0], X[0, 0].repeat(9, 1)),
    "a product of grids": lambda: torch.kron(X[0, 0], X[0, 0]),
    "pooling": lambda: functional.avg_pool2d(X, 2, 1, 1),
    "reduction": lambda: X.sum(1),
    "rounded up": lambda: functional.max_pool2d(X, 2, 2, 1, ceil_mode=True),
}


class Compare(TorchDispatchMode):
    """Notes for each call what was expected and what was made, in elements."""

    def __init__(self):
        super().__init__()
        self.calls = []

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        from mlbuild.coreml.result_sizes import bound_of

        kwargs = kwargs or {}
        flat = [*args, *kwargs.values()]
        flat = [t for item in flat for t in (item if isinstance(item, list | tuple) else [item])]
        tensors = [t for t in flat if isinstance(t, torch.Tensor)]
        bound = bound_of(func._schema.name, args, kwargs, tensors)
        made = func(*args, **kwargs)
        if all(r.alias_info is None for r in func._schema.returns):
            results = made if isinstance(made, list | tuple) else [made]
            sizes = [t.numel() for t in results if isinstance(t, torch.Tensor)]
            self.calls += [(str(func), bound, size) for size in sizes]
        return made


@pytest.mark.parametrize("name", CALLS)
def test_no_call_makes_more_than_is_expected_of_it(name):
    with torch.inference_mode(), Compare() as compare:
        CALLS[name]()
    assert compare.calls
    for call, bound, size in compare.calls:
        assert bound >= size, call


ABSURD = {
    "a broadcast": lambda x: x[:, None] + x,
    "matrices": lambda x: x[:, None] @ x[None],
    "repeat": lambda x: x.repeat(2**21, 1),
    "padding": lambda x: functional.pad(x, (2**42, 2**42)),
    "full": lambda x: torch.full((2**21, 2**21), 1.0),
    "more than can be counted": lambda x: torch.full((2**40, 2**40), 1.0),
    "outer": lambda x: torch.outer(x, x),
    "upsampled": lambda x: functional.interpolate(x[None, None], scale_factor=2.0**21),
    "reducing a view": lambda x: x.expand(2**21, 2**21).sum(),
    "convolution": lambda x: torch.conv1d(x[None, None], torch.ones(1, 1, 1), None, 1, 2**42),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_sizes_are_refused_before_they_are_made(name):
    from mlbuild.coreml import ExecutionError
    from mlbuild.coreml.guard import Guard

    x = torch.ones(2**21)
    with (
        pytest.raises(ExecutionError, match="a value of a size that this machine cannot hold"),
        torch.inference_mode(),
        Guard(),
    ):
        ABSURD[name](x)


def test_only_the_first_run_for_each_shape_is_guarded(save_torch, ct, monkeypatch):
    from mlbuild.coreml import load, model

    entered = []

    class Counted(model.Guard):
        def __enter__(self):
            entered.append(1)
            return super().__enter__()

    monkeypatch.setattr(model, "Guard", Counted)
    shape = ct.Shape([1, ct.RangeDim(2, 9, default=4)])
    path = save_torch(torch.nn.ReLU(), torch.rand(1, 4), [ct.TensorType(name="x", shape=shape)])
    loaded = load(path)
    for size, runs in ((4, 1), (4, 1), (5, 2), (5, 2), (4, 2)):
        loaded.predict({"x": np.ones((1, size))})
        assert len(entered) == runs
