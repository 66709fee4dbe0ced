"""The layers of Core ML 1 and 2, against torch, numpy and examples of the specification."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import array, close, t  # noqa: E402

pytestmark = pytest.mark.toolchain

F = torch.nn.functional


X4 = array(2, 4, 7, 9)
X3 = array(4, 3, 5)
ALPHA = np.array([0.1, -0.5, 2.0, 0.0])
BETA = np.array([1.0, 0.5, -1.0, 3.0])


def columns(values):
    return t(values)[:, None, None]


ACTIVATIONS = [
    ("LINEAR", [2.0, 3.0], lambda x: 2 * x + 3),
    ("RELU", None, torch.relu),
    ("LEAKYRELU", [0.3], lambda x: F.leaky_relu(x, 0.3)),
    ("THRESHOLDEDRELU", 0.7, lambda x: F.threshold(x, 0.7, 0.0)),
    ("PRELU", ALPHA, lambda x: F.prelu(x[None], t(ALPHA))[0]),
    ("TANH", None, torch.tanh),
    ("SCALED_TANH", [2.0, 0.5], lambda x: 2 * torch.tanh(0.5 * x)),
    ("SIGMOID", None, torch.sigmoid),
    ("SIGMOID_HARD", [0.4, 0.3], lambda x: (0.4 * x + 0.3).clamp(0, 1)),
    ("ELU", 0.8, lambda x: F.elu(x, 0.8)),
    ("SOFTSIGN", None, F.softsign),
    ("SOFTPLUS", None, F.softplus),
    ("PARAMETRICSOFTPLUS", [ALPHA, BETA],
     lambda x: columns(ALPHA) * torch.log1p(torch.exp(columns(BETA) * x))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "function"), ACTIVATIONS)
def test_activations_are_torchs(run_network, name, params, function):
    y = run_network(lambda b: b.add_activation("a", name, "x", "y", params), {"x": X3})
    close(y, function(t(X3)))


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 6), (5, 1, 2, 3), (2, 5, 6, 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_dense_layer_takes_the_last_or_the_last_three_dimensions(run_network, shape, bias):
    weights, added = array(4, 6, seed=1), array(4, seed=2)

    def build(b):
        b.add_inner_product("d", weights, added if bias else None, 6, 4, bias, "x", "y")

    x = array(*shape)
    vectors = x.reshape(*shape[:-3], 6) if len(shape) > 3 else x
    expected = vectors @ weights.T + (added if bias else 0)
    close(run_network(build, {"x": x}), expected[..., None, None] if len(shape) > 3 else expected)


def test_a_dynamically_quantized_input_is_a_multiple_of_one_scale(run_network):
    codes = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.int8)

    def build(b):
        b.add_inner_product(
            "d", codes.tobytes(), None, 3, 3, False, "x", "y", int_8_dynamic_quantize=True,
            is_quantized_weight=True, quantization_type="linear", nbits=8,
            quant_scale=np.array([2.0]),
        )  # fmt: skip

    # 12.7 is 127 scales of 0.1; 0.34 is nearest to 3 of them, -0.06 to -1
    close(run_network(build, {"x": np.array([12.7, 0.34, -0.06])}), [25.4, 0.6, -0.2])


@pytest.mark.parametrize("lead", [(3,), (3, 1)])
def test_an_embedding_chooses_columns(run_network, lead):
    weights, bias = array(5, 7, seed=1), array(5, seed=2)

    def build(b):
        b.add_embedding("e", weights, bias, 7, 5, True, "x", "y")

    y = run_network(build, {"x": np.array([6.0, 0.0, 2.0]).reshape(*lead, 1, 1, 1)})
    close(y, (weights[:, [6, 0, 2]].T + bias).reshape(*lead, 5, 1, 1))


def test_an_embedding_of_an_unknown_index_is_told(run_network):
    from mlbuild.coreml import ExecutionError

    def build(b):
        b.add_embedding("e", np.zeros((5, 7)), None, 7, 5, False, "x", "y")

    with pytest.raises(ExecutionError) as error:
        run_network(build, {"x": np.full((1, 1, 1, 1), 7.0)})
    assert str(error.value) == (
        "layer 0 'e', embedding: index out of range in self\n  got: inputs 'x' [1, 1, 1, 1]"
    )


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 4, 3, 5)])
def test_batch_normalization_uses_stored_moments(run_network, shape):
    gamma, beta, mean, variance = (
        array(4),
        array(4, seed=1),
        array(4, seed=2),
        array(4, seed=3) ** 2,
    )
    x = array(*shape)

    def build(b):
        b.add_batchnorm("n", 4, gamma, beta, mean, variance, "x", "y", epsilon=1e-3)

    images = t(x).reshape(-1, 4, 3, 5)
    expected = F.batch_norm(images, t(mean), t(variance), t(gamma), t(beta), eps=1e-3)
    close(run_network(build, {"x": x}), expected.reshape(shape))


@pytest.mark.parametrize("instance", [True, False])
def test_batch_normalization_computes_moments_of_a_picture_or_of_all(run_network, instance):
    gamma, beta = array(4), array(4, seed=1)

    def build(b):
        b.add_batchnorm("n", 4, gamma, beta, gamma, gamma, "x", "y")
        params = b.nn_spec.layers[-1].batchnorm  # what follows the builder cannot write
        params.computeMeanVar, params.instanceNormalization = True, instance

    if instance:
        expected = F.instance_norm(t(X4), weight=t(gamma), bias=t(beta))
    else:
        expected = F.batch_norm(t(X4), None, None, t(gamma), t(beta), training=True)
    close(run_network(build, {"x": X4}), expected)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_mean_and_variance_are_taken_over_the_plane_or_all(run_network, across, normalize):
    def build(b):
        b.add_mvn("n", "x", "y", across, normalize, epsilon=1e-2)

    over = (1, 2, 3) if across else (2, 3)
    expected = X4 - X4.mean(over, keepdims=True)
    if normalize:
        expected = expected / np.sqrt(X4.var(over, keepdims=True) + 1e-2)
    close(run_network(build, {"x": X4}), expected)


def test_l2_normalization_divides_by_the_length(run_network):
    expected = X4 / np.sqrt((X4**2).sum((1, 2, 3), keepdims=True) + 0.1)
    close(run_network(lambda b: b.add_l2_normalize("n", "x", "y", 0.1), {"x": X4}), expected)


@pytest.mark.parametrize("size", [1, 3])
def test_local_response_is_normalized_across_channels(run_network, size):
    def build(b):
        b.add_lrn("n", "x", "y", 0.6, 0.75, size, 2.0)

    half, expected = size // 2, np.empty_like(X4)
    for c in range(4):
        near = X4[:, max(0, c - half) : c + half + 1]
        expected[:, c] = X4[:, c] / (2 + 0.6 / size * (near**2).sum(1)) ** 0.75
    close(run_network(build, {"x": X4}), expected)


def test_softmax_is_along_the_channels(run_network):
    e = np.exp(X4)
    y = run_network(lambda b: b.add_softmax("s", "x", "y"), {"x": X4})
    close(y, e / e.sum(1, keepdims=True))


U = np.array([0.25, 1.0, 4.0])


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("sqrt", {}, np.sqrt(U)),
        ("rsqrt", {"epsilon": 0.5}, 1 / np.sqrt(U + 0.5)),
        ("inverse", {"epsilon": 0.5}, 1 / (U + 0.5)),
        ("power", {"alpha": 3.0}, U**3),
        ("exp", {"scale": 2.0, "shift": -1.0}, np.exp(2 * U - 1)),
        ("log", {}, np.log(U)),
        ("abs", {"shift": -1.0}, [0.75, 0, 3]),
        ("threshold", {"alpha": 0.7}, [0.7, 1, 4]),
    ],
)
def test_unary_functions_follow_a_shift_and_scale(run_network, mode, options, expected):
    y = run_network(lambda b: b.add_unary("u", "x", "y", mode, **options), {"x": U})
    close(y, expected)


A, B, C = array(2, 3, 4), array(2, 1, 1, seed=1), array(1, 3, 4, seed=2)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("ADD", A + B + C),
        ("MULTIPLY", A * B * C),
        ("AVE", (A + B + C) / 3),
        ("MAX", np.maximum(np.maximum(A, B), C)),
        ("MIN", np.minimum(np.minimum(A, B), C)),
    ],
)
def test_elementwise_layers_take_any_number_of_blobs(run_network, mode, expected):
    y = run_network(
        lambda b: b.add_elementwise("e", ["a", "b", "c"], "y", mode), {"a": A, "b": B, "c": C}
    )
    close(y, expected)


@pytest.mark.parametrize(("mode", "expected"), [("ADD", A + 2.5), ("MULTIPLY", A * 2.5)])
def test_of_a_single_blob_the_constant_is_taken(run_network, mode, expected):
    y = run_network(lambda b: b.add_elementwise("e", ["a"], "y", mode, 2.5), {"a": A})
    close(y, expected)


@pytest.mark.parametrize("cosine", [False, True])
def test_the_dot_product_is_along_the_channels(run_network, cosine):
    a, b_ = array(2, 5, 1, 1), array(2, 5, 1, 1, seed=1)
    y = run_network(
        lambda b: b.add_elementwise("d", ["a", "b"], "y", "COS" if cosine else "DOT"),
        {"a": a, "b": b_},
    )
    expected = (a * b_).sum(1, keepdims=True)
    if cosine:
        expected = F.cosine_similarity(t(a), t(b_), 1)[:, None]
    close(y, expected)


@pytest.mark.parametrize("shape", [(1,), (4,), (1, 3, 5), (4, 3, 5)])
def test_constants_of_every_shape_scale_and_shift(run_network, shape):
    factor, added = array(*shape, seed=1), array(*shape, seed=2)

    def build(b):
        b.add_scale("s", factor, added, True, "x", "m", list(shape), list(shape))
        b.add_bias("b", added, "m", "y", list(shape))

    wide = (4, 1, 1) if shape == (4,) else shape
    close(run_network(build, {"x": X3}), X3 * factor.reshape(wide) + 2 * added.reshape(wide))


def test_a_loaded_constant_meets_a_blob_of_five_dimensions(run_network):
    def build(b):
        b.add_load_constant("l", "k", X3, [4, 3, 5])
        b.add_elementwise("a", ["x", "k"], "y", "ADD")

    close(run_network(build, {"x": X3}, exact=False), X3 * 2)


P = np.abs(X3) + 0.5


@pytest.mark.parametrize(
    ("axis", "over"),
    [("CHW", (0, 1, 2)), ("HW", (1, 2)), ("C", (0,)), ("H", (1,)), ("W", (2,))],
)
def test_reductions_are_numpys_and_keep_their_dimensions(run_network, axis, over):
    expected = {
        "sum": P.sum(over), "avg": P.mean(over), "prod": P.prod(over),
        "logsum": np.log(P + 0.1).sum(over), "sumsquare": (P**2).sum(over),
        "L1": np.abs(P).sum(over), "L2": np.sqrt((P**2).sum(over)), "max": P.max(over),
        "min": P.min(over),
    }  # fmt: skip

    def build(b):
        for mode in expected:
            b.add_reduce(mode, "x", mode, axis, mode, 0.1)

    shape = [1 if i in over else n for i, n in enumerate(P.shape)]
    for found, wanted in zip(run_network(build, {"x": P}, tuple(expected)), expected, strict=True):
        np.testing.assert_allclose(
            found, expected[wanted].reshape(shape), rtol=1e-4, err_msg=wanted
        )


@pytest.mark.parametrize(("axis", "number"), [("C", 0), ("H", 1), ("W", 2)])
def test_the_place_of_the_maximum_is_a_number(run_network, axis, number):
    y = run_network(lambda b: b.add_reduce("r", "x", "y", axis, "argmax"), {"x": X3})
    close(y, np.expand_dims(X3.argmax(number), number))


SEQUENCE = array(3, 2, 4, 3, 5)  # S, B, C, H, W


@pytest.mark.parametrize(
    ("target", "mode", "expected"),
    [
        ((5, 4, 3), 0, SEQUENCE.reshape(3, 2, 5, 4, 3)),
        ((5, 4, 3), 1, SEQUENCE.transpose(0, 1, 3, 4, 2).reshape(3, 2, 4, 3, 5)
         .transpose(0, 1, 4, 2, 3)),
        ((1, 12, 3, 5), 0, SEQUENCE.transpose(1, 0, 2, 3, 4).reshape(1, 2, 12, 3, 5)),
        ((6, 2, 3, 5), 0, SEQUENCE.transpose(1, 0, 2, 3, 4).reshape(2, 6, 2, 3, 5)
         .transpose(1, 0, 2, 3, 4)),
    ],
    ids=["channel first", "channel last", "sequence to channels", "channels to sequence"],
)  # fmt: skip
def test_reshaping_stays_within_a_batch(run_network, target, mode, expected):
    y = run_network(lambda b: b.add_reshape("r", "x", "y", target, mode), {"x": SEQUENCE})
    close(y, expected)


@pytest.mark.parametrize(
    ("mode", "expected"), [(0, X4.reshape(2, -1)), (1, X4.transpose(0, 2, 3, 1).reshape(2, -1))]
)
def test_flattening_goes_channels_first_or_last(run_network, mode, expected):
    y = run_network(lambda b: b.add_flatten("f", mode, "x", "y"), {"x": X4})
    close(y, expected[..., None, None])


@pytest.mark.parametrize(
    ("axes", "five"), [((0, 3, 1, 2), (0, 1, 4, 2, 3)), ((3, 1, 2, 0), (4, 1, 2, 3, 0)),
                       ((0, 3, 2, 1), (0, 1, 4, 3, 2)), ((1, 0, 2, 3), (2, 1, 0, 3, 4))],
)  # fmt: skip
def test_permuting_leaves_the_batch_alone(run_network, axes, five):
    y = run_network(lambda b: b.add_permute("p", axes, "x", "y"), {"x": SEQUENCE})
    close(y, SEQUENCE.transpose(five))


@pytest.mark.parametrize(("mode", "axis"), [("CONCAT", 2), ("SEQUENCE_CONCAT", 0)])
def test_concatenation_is_along_channels_or_the_sequence(run_network, mode, axis):
    other = array(3, 2, 4, 3, 5, seed=1)
    y = run_network(
        lambda b: b.add_elementwise("c", ["a", "b"], "y", mode), {"a": SEQUENCE, "b": other}
    )
    close(y, np.concatenate([SEQUENCE, other], axis))


def test_splitting_makes_equal_parts_of_the_channels(run_network):
    parts = run_network(lambda b: b.add_split("s", "x", ["a", "b"]), {"x": X3}, ("a", "b"))
    close(parts[0], X3[:2])
    close(parts[1], X3[2:])


def test_a_sequence_is_repeated_as_a_whole(run_network):
    y = run_network(lambda b: b.add_sequence_repeat("r", 2, "x", "y"), {"x": SEQUENCE})
    close(y, np.concatenate([SEQUENCE, SEQUENCE]))


@pytest.mark.parametrize(
    ("axis", "start", "end", "stride", "part"),
    [
        ("channel", 1, 3, 1, np.s_[1:3]),
        ("height", 0, -1, 1, np.s_[:, 0:-1]),
        ("width", 1, 5, 2, np.s_[:, :, 1:5:2]),
    ],
)
def test_slices_are_numpys(run_network, axis, start, end, stride, part):
    y = run_network(lambda b: b.add_slice("s", "x", "y", axis, start, end, stride), {"x": X3})
    close(y, X3[part])


EIGHT = np.arange(1.0, 17).reshape(8, 1, 2)
TO_SPACE = [[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]]
SHUFFLED = [[[1, 3, 2, 4], [5, 7, 6, 8]], [[9, 11, 10, 12], [13, 15, 14, 16]]]


@pytest.mark.parametrize(
    ("mode", "x", "expected"),
    [
        ("DEPTH_TO_SPACE", EIGHT, TO_SPACE),
        ("SPACE_TO_DEPTH", np.array(TO_SPACE), EIGHT),
        ("PIXEL_SHUFFLE", EIGHT, SHUFFLED),
    ],
)
def test_the_specifications_examples_of_reorganized_data(run_network, mode, x, expected):
    y = run_network(lambda b: b.add_reorganize_data("r", "x", "y", mode, 2), {"x": x})
    close(y, expected)


ERRORS = [
    (lambda b: b.add_split("s", "x", ["y", "z", "w"]), X3,
     "layer 0 's', split: 4 channels have no 3 equal parts\n  got: inputs 'x' [4, 3, 5]"),
    (lambda b: b.add_permute("p", (0, 1, 2, 3), "x", "y"), X3,
     "layer 0 'p', permute: a blob of five dimensions is needed, not 3\n"
     "  got: inputs 'x' [4, 3, 5]"),
    (lambda b: b.add_reduce("r", "x", "y", "HW", "argmax"), X3,
     "layer 0 'r', reduce: the place of the maximum is defined along one axis, C, H or W\n"
     "  got: inputs 'x' [4, 3, 5]"),
    (lambda b: b.add_reorganize_data("r", "x", "y", "SPACE_TO_DEPTH", 2), X3,
     "layer 0 'r', reorganizeData: blocks of 2 do not fill 3 x 5\n  got: inputs 'x' [4, 3, 5]"),
    (lambda b: b.add_embedding("e", np.zeros((5, 7)), None, 7, 5, False, "x", "y"), X3,
     "layer 0 'e', embedding: indexes [..., 1, 1, 1] are needed, not [4, 3, 5]\n"
     "  got: inputs 'x' [4, 3, 5]"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "x", "told"), ERRORS)
def test_blobs_that_do_not_fit_are_told(run_network, build, x, told):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as error:
        run_network(build, {"x": x})
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda b: b.add_permute("p", (0, 1, 1, 3), "x", "y"),
         "layer 0 'p', permute: malformed: [0, 1, 1, 3] is no permutation of [0, 1, 2, 3]"),
        (lambda b: b.add_elementwise("d", ["x", "x", "x"], "y", "DOT"),
         "layer 0 'd', dot: a layer with a wrong number of inputs\n  got: 3\n  allowed: 2"),
    ],
)  # fmt: skip
def test_malformed_layers_are_told_when_the_model_is_opened(run_network, build, told):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        run_network(build, {"x": SEQUENCE})
    assert str(error.value) == told
