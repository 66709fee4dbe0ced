"""Operators that move, pick, cut and join, against torch and numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
F = torch.nn.functional
pytestmark = pytest.mark.toolchain


def real(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


X = {"x": real(2, 3, 4, 5)}
IMAGE = {"x": real(2, 8, 4, 6)}
MATRIX = {"x": real(4, 5)}


def index(*values):
    return np.array(values, np.int32)


def both(mb, pair):
    return mb.concat(values=[mb.cast(x=part, dtype="fp32") for part in pair], axis=-1)


# what it proves, opset, builder, inputs, oracle
CASES = [
    (
        "reshape works out -1",
        "iOS15",
        lambda mb, x: mb.reshape(x=x, shape=[6, -1]),
        X,
        lambda x: x.reshape(6, -1),
    ),
    (
        "a zero takes over a dimension",
        "iOS15",
        lambda mb, x: mb.reshape(x=x, shape=[0, 12, 1, -1]),
        X,
        lambda x: x.reshape(2, 12, 1, 5),
    ),
    (
        "from iOS17 on zeros align right",
        "iOS17",
        lambda mb, x: mb.reshape(x=x, shape=[1, 0, -1, 0]),
        {"x": real(2, 50)},
        lambda x: x.reshape(1, 1, 2, 50),
    ),
    (
        "reshape_like joins parts of shapes",
        "iOS16",
        lambda mb, x, y: mb.reshape_like(
            x=x, ref_tensors=(y, y), begins=(0, 1), ends=(1, 0), end_masks=(False, True)
        ),
        {"x": real(24), "y": real(2, 3, 4)},
        lambda x, y: x.reshape(2, 3, 4),
    ),
    (
        "new axes count in the result",
        "iOS15",
        lambda mb, x: mb.expand_dims(x=x, axes=[0, -1]),
        MATRIX,
        lambda x: x[None, ..., None],
    ),
    (
        "squeeze drops named axes",
        "iOS15",
        lambda mb, x: mb.squeeze(x=x, axes=[-1]),
        {"x": real(1, 3, 1)},
        lambda x: x[..., 0],
    ),
    (
        "squeeze drops all",
        "iOS15",
        lambda mb, x: mb.squeeze(x=x),
        {"x": real(1, 3, 1)},
        lambda x: x.squeeze(),
    ),
    (
        "flatten2d at a negative axis",
        "iOS15",
        lambda mb, x: mb.flatten2d(x=x, axis=-1),
        X,
        lambda x: x.reshape(24, 5),
    ),
    (
        "transpose",
        "iOS15",
        lambda mb, x: mb.transpose(x=x, perm=[0, 2, -1, 1]),
        X,
        lambda x: x.permute(0, 2, 3, 1),
    ),
    (
        "reverse of one axis",
        "iOS15",
        lambda mb, x: mb.reverse(x=x, axes=[-1]),
        X,
        lambda x: x.flip(-1),
    ),
    ("reverse of all axes", "iOS15", lambda mb, x: mb.reverse(x=x), MATRIX, lambda x: x.flip(0, 1)),
    (
        "sequences reversed by their own length",
        "iOS15",
        lambda mb, x: mb.reverse_sequence(x=x, lengths=index(2, 3), seq_axis=1, batch_axis=0),
        {"x": real(2, 4)},
        lambda x: torch.stack([x[0, [1, 0, 2, 3]], x[1, [2, 1, 0, 3]]]),
    ),
    (
        "slices with strides and masks",
        "iOS15",
        lambda mb, x: mb.slice_by_index(
            x=x,
            begin=[0, -2, 3, 1],
            end=[2, 3, 0, 5],
            stride=[1, 1, -1, 2],
            begin_mask=[True, False, False, False],
            squeeze_mask=[True, False, False, False],
        ),
        X,
        lambda x: torch.from_numpy(np.ascontiguousarray(x.numpy()[0, -2:3, 3:0:-1, 1:5:2])),
    ),
    (
        "an open end of a negative stride",
        "iOS15",
        lambda mb, x: mb.slice_by_index(
            x=x,
            begin=[0, 0],
            end=[0, 0],
            stride=[-1, 2],
            begin_mask=[True, True],
            end_mask=[True, True],
        ),
        MATRIX,
        lambda x: torch.from_numpy(np.ascontiguousarray(x.numpy()[::-1, ::2])),
    ),
    (
        "slice_by_size to the end",
        "iOS15",
        lambda mb, x: mb.slice_by_size(x=x, begin=[1, 2], size=[2, -1]),
        MATRIX,
        lambda x: x[1:3, 2:],
    ),
    (
        "slice_update writes in place of a slice",
        "iOS18",
        lambda mb, x, y: mb.slice_update(x=x, update=y, begin=[1, 0], end=[3, 5], stride=[1, 2]),
        {"x": real(4, 5), "y": real(2, 3, seed=3)},
        lambda x, y: torch.from_numpy(_updated(x.numpy(), y.numpy())),
    ),
    (
        "slice_update goes backwards, and fills what is squeezed",
        "iOS18",
        lambda mb, x, y: mb.slice_update(
            x=x,
            update=y,
            begin=[1, 4, 3],
            end=[0, 0, 0],
            stride=[1, -2, -1],
            squeeze_mask=[True, False, False],
            end_mask=[False, False, True],
        ),
        {"x": real(2, 5, 4), "y": real(2, 4, seed=3)},
        lambda x, y: torch.from_numpy(_updated_backwards(x.numpy(), y.numpy())),
    ),
    (
        "concat",
        "iOS15",
        lambda mb, x, y: mb.concat(values=[x, y], axis=-1),
        {"x": real(2, 3), "y": real(2, 1)},
        lambda x, y: torch.cat([x, y], -1),
    ),
    (
        "interleaved concat",
        "iOS15",
        lambda mb, x, y: mb.concat(values=[x, y], axis=0, interleave=True),
        {"x": real(2, 3), "y": real(2, 3, seed=1)},
        lambda x, y: torch.stack([x[0], y[0], x[1], y[1]]),
    ),
    (
        "stack on a new axis",
        "iOS15",
        lambda mb, x, y: mb.stack(values=[x, y], axis=1),
        {"x": real(2, 3), "y": real(2, 3, seed=1)},
        lambda x, y: torch.stack([x, y], 1),
    ),
    (
        "split into given sizes",
        "iOS15",
        lambda mb, x: mb.sub(
            x=mb.split(x=x, split_sizes=[2, 1, 2], axis=1)[2],
            y=mb.split(x=x, split_sizes=[2, 1, 2], axis=1)[0],
        ),
        MATRIX,
        lambda x: x[:, 3:] - x[:, :2],
    ),
    (
        "split into equal parts",
        "iOS15",
        lambda mb, x: mb.split(x=x, num_splits=2, axis=0)[1],
        MATRIX,
        lambda x: x[2:],
    ),
    (
        "constant padding of two dimensions",
        "iOS15",
        lambda mb, x: mb.pad(x=x, pad=[1, 0, 2, 3], mode="constant", constant_val=0.5),
        MATRIX,
        lambda x: F.pad(x, [2, 3, 1, 0], value=0.5),
    ),
    (
        "reflection",
        "iOS15",
        lambda mb, x: mb.pad(x=x, pad=[1, 2, 3, 1], mode="reflect"),
        X,
        lambda x: F.pad(x, [3, 1, 1, 2], mode="reflect"),
    ),
    (
        "repetition",
        "iOS15",
        lambda mb, x: mb.pad(x=x, pad=[1, 2, 3, 1], mode="replicate"),
        X,
        lambda x: F.pad(x, [3, 1, 1, 2], mode="replicate"),
    ),
    ("tile", "iOS15", lambda mb, x: mb.tile(x=x, reps=[2, 3]), MATRIX, lambda x: x.repeat(2, 3)),
    (
        "fill",
        "iOS15",
        lambda mb, x: mb.add(x=x, y=mb.fill(shape=mb.shape(x=x), value=2.5)),
        MATRIX,
        lambda x: x + 2.5,
    ),
    (
        "fill_like",
        "iOS16",
        lambda mb, x: mb.add(x=x, y=mb.fill_like(ref_tensor=x, value=2.5)),
        MATRIX,
        lambda x: x + 2.5,
    ),
    (
        "range",
        "iOS15",
        lambda mb, x: mb.range_1d(start=mb.reduce_min(x=x), end=1.0, step=0.5),
        {"x": np.array([-1.0, 2.0], np.float32)},
        lambda x: torch.arange(-1.0, 1.0, 0.5),
    ),
    (
        "one-hot vectors along a middle axis",
        "iOS15",
        lambda mb, x: mb.one_hot(
            indices=x, one_hot_vector_size=4, axis=1, on_value=2.0, off_value=-1.0
        ),
        {"x": index([0, 3], [1, 2])},
        lambda x: (F.one_hot(x.long(), 4) * 3.0 - 1).movedim(-1, 1),
    ),
    (
        "argsort, largest first",
        "iOS15",
        lambda mb, x: mb.argsort(x=x, axis=0),
        MATRIX,
        lambda x: x.argsort(0, descending=True).int(),
    ),
    (
        "topk values and indices",
        "iOS15",
        lambda mb, x: both(mb, mb.topk(x=x, k=2, axis=1)),
        MATRIX,
        lambda x: torch.cat([x.topk(2).values, x.topk(2).indices.float()], -1),
    ),
    (
        "topk of the smallest",
        "iOS17",
        lambda mb, x: both(mb, mb.topk(x=x, k=2, axis=1, ascending=True)),
        MATRIX,
        lambda x: torch.cat(
            [x.topk(2, largest=False).values, x.topk(2, largest=False).indices.float()], -1
        ),
    ),
    (
        "non_zero lists indices",
        "iOS15",
        lambda mb, x: mb.non_zero(x=x),
        {"x": np.array([[0, 1.0], [2.0, 0]], np.float32)},
        lambda x: x.nonzero().int(),
    ),
    ("cumsum", "iOS15", lambda mb, x: mb.cumsum(x=x, axis=1), MATRIX, lambda x: x.cumsum(1)),
    (
        "cumsum, exclusive and backwards",
        "iOS15",
        lambda mb, x: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
        MATRIX,
        lambda x: x.flip(1).cumsum(1).flip(1) - x,
    ),
    (
        "band_part keeps a band",
        "iOS15",
        lambda mb, x: mb.band_part(x=x, lower=1, upper=2),
        MATRIX,
        lambda x: x.tril(2).triu(-1),
    ),
    (
        "gather along an axis, from the end too",
        "iOS15",
        lambda mb, x: mb.gather(x=x, indices=index([0, -1], [2, 1]), axis=2),
        X,
        lambda x: x[:, :, [[0, 3], [2, 1]]],
    ),
    (
        "gather with batch dimensions",
        "iOS16",
        lambda mb, x: mb.gather(x=x, indices=index([0, 2], [1, 1]), axis=1, batch_dims=1),
        X,
        lambda x: torch.stack([x[0][[0, 2]], x[1][[1, 1]]]),
    ),
    (
        "gather_along_axis",
        "iOS15",
        lambda mb, x: mb.gather_along_axis(
            x=x, indices=index([0, 1, 3, 0, 2]).reshape(1, 5), axis=0
        ),
        MATRIX,
        lambda x: x.gather(0, torch.tensor([[0, 1, 3, 0, 2]])),
    ),
    (
        "gather_nd",
        "iOS15",
        lambda mb, x: mb.gather_nd(x=x, indices=index([0, 1], [3, 4])),
        MATRIX,
        lambda x: x[[0, 3], [1, 4]],
    ),
    (
        "gather_nd with a batch dimension",
        "iOS16",
        lambda mb, x: mb.gather_nd(x=x, indices=index([[2, 1]], [[0, 0]]), batch_dims=1),
        X,
        lambda x: torch.stack([x[0, 2, 1], x[1, 0, 0]])[:, None],
    ),
    (
        "scatter adds by default",
        "iOS15",
        lambda mb, x, y: mb.scatter(data=x, indices=index(1, 1), updates=y, axis=0),
        {"x": real(4, 5), "y": real(2, 5, seed=4)},
        lambda x, y: _added(x, y),
    ),
    (
        "scatter_along_axis updates",
        "iOS15",
        lambda mb, x, y: mb.scatter_along_axis(
            data=x, indices=index([0, 1, 3, 0, 2]).reshape(1, 5), updates=y, axis=0, mode="update"
        ),
        {"x": real(4, 5), "y": real(1, 5, seed=4)},
        lambda x, y: x.scatter(0, torch.tensor([[0, 1, 3, 0, 2]]), y),
    ),
    (
        "scatter drops what is out of bounds",
        "iOS17",
        lambda mb, x, y: mb.scatter(data=x, indices=index(9, 2), updates=y, axis=0, mode="update"),
        {"x": real(4, 5), "y": real(2, 5, seed=4)},
        lambda x, y: torch.cat([x[:2], y[1:], x[3:]]),
    ),
    (
        "scatter_nd multiplies",
        "iOS15",
        lambda mb, x, y: mb.scatter_nd(data=x, indices=index([2], [0]), updates=y, mode="mul"),
        {"x": real(4, 5), "y": real(2, 5, seed=4)},
        lambda x, y: torch.stack([x[0] * y[1], x[1], x[2] * y[0], x[3]]),
    ),
    (
        "depth_to_space, block first",
        "iOS15",
        lambda mb, x: mb.depth_to_space(x=x, block_size=2),
        IMAGE,
        lambda x: F.pixel_shuffle(x.reshape(2, 4, 2, 4, 6).transpose(1, 2).reshape(2, 8, 4, 6), 2),
    ),
    (
        "space_to_depth undoes depth_to_space",
        "iOS15",
        lambda mb, x: mb.space_to_depth(x=mb.depth_to_space(x=x, block_size=2), block_size=2),
        IMAGE,
        lambda x: x,
    ),
    (
        "pixel_shuffle",
        "iOS15",
        lambda mb, x: mb.pixel_shuffle(x=x, upscale_factor=2),
        IMAGE,
        lambda x: F.pixel_shuffle(x, 2),
    ),
    (
        "pixel_unshuffle",
        "iOS16",
        lambda mb, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        IMAGE,
        lambda x: F.pixel_unshuffle(x, 2),
    ),
    (
        "batch_to_space undoes space_to_batch",
        "iOS15",
        lambda mb, x: mb.batch_to_space(
            x=mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 3]]),
            block_shape=[2, 3],
            crops=[[1, 1], [0, 3]],
        ),
        IMAGE,
        lambda x: x,
    ),
    (
        "space_to_batch takes every second pixel",
        "iOS15",
        lambda mb, x: mb.space_to_batch(x=x, block_shape=[2, 2], paddings=[[0, 0], [0, 0]]),
        {"x": real(1, 1, 4, 4)},
        lambda x: torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]),
    ),
    (
        "sliding windows",
        "iOS15",
        lambda mb, x: mb.sliding_windows(x=x, axis=0, size=2, stride=2),
        MATRIX,
        lambda x: x.unfold(0, 2, 2).movedim(-1, 1),
    ),
    (
        "crop",
        "iOS15",
        lambda mb, x: mb.crop(x=x, crop_height=[1, 0], crop_width=[2, 1]),
        X,
        lambda x: x[:, :, 1:, 2:-1],
    ),
    (
        "linear",
        "iOS15",
        lambda mb, x: mb.linear(x=x, weight=real(3, 5, seed=5), bias=real(3, seed=6)),
        MATRIX,
        lambda x: F.linear(x, torch.tensor(real(3, 5, seed=5)), torch.tensor(real(3, seed=6))),
    ),
    (
        "matmul broadcasts and transposes",
        "iOS15",
        lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
        {"x": real(2, 1, 4, 3), "y": real(5, 6, 4, seed=1)},
        lambda x, y: x.mT @ y.mT,
    ),
    (
        "einsum",
        "iOS15",
        lambda mb, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        {"x": real(2, 3, 4, 5), "y": real(2, 5, 4, 6, seed=1)},
        lambda x, y: torch.einsum("nchw,nwhu->nchu", x, y),
    ),
    (
        "attention with a mask",
        "iOS18",
        lambda mb, q, k, v: mb.scaled_dot_product_attention(
            query=q, key=k, value=v, attn_mask=np.triu(np.ones((4, 6), bool))
        ),
        {"q": real(2, 4, 8), "k": real(2, 6, 8, seed=1), "v": real(2, 6, 3, seed=2)},
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, torch.ones(4, 6).triu().bool()),
    ),
]


def _updated_backwards(x, y):
    x = x.copy()
    x[1, 4:0:-2, 3::-1] = y
    return x


def _updated(x, y):
    x = x.copy()
    x[1:3, 0:5:2] = y
    return x


def _added(x, y):
    x = x.clone()
    x[1] += y.sum(0)
    return x


@pytest.mark.parametrize(("opset", "build", "inputs", "oracle"),
                         [c[1:] for c in CASES], ids=[c[0] for c in CASES])  # fmt: skip
def test_operator_agrees_with_torch(save_program, opset, build, inputs, oracle):
    from mlbuild.coreml import load

    outputs = load(save_program(build, inputs, opset)).predict(inputs)
    expected = oracle(*(torch.from_numpy(array.copy()) for array in inputs.values())).numpy()
    (actual,) = outputs.values()
    assert actual.shape == expected.shape
    # sums in another order differ by a few units in the last place
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


def test_scalars_are_joined_as_if_they_had_one_dimension(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        return mb.concat(values=[mb.reduce_sum(x=x), mb.reduce_max(x=x)], axis=0)

    inputs = {"x": np.array([1.0, 2.0], np.float32)}
    (actual,) = load(save_program(build, inputs)).predict(inputs).values()
    np.testing.assert_array_equal(actual, [3.0, 2.0])


def test_an_index_out_of_bounds_is_an_error_where_it_must_be_validated(save_program):
    from mlbuild.coreml import ExecutionError, load

    def build(mb, x, i):
        return mb.gather(x=x, indices=i, axis=0, validate_indices=True, name="picked")

    inputs = {"x": real(4, 5), "i": index(1, 7)}
    model = load(save_program(build, inputs, "iOS17"))
    with pytest.raises(ExecutionError) as error:
        model.predict(inputs)
    assert "iOS17.gather (makes picked): an index outside of 0..3" in str(error.value)
