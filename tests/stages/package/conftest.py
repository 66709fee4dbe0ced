"""Models whose names and labels are hard on a generator."""

import pytest

LABELS = [
    'say "woof"',
    "back\\slash",
    "\\(injected())",
    "Löwchen 犬 🐕",
    "line\nbreak",
    "tab\tnull\0",
    "right-to-left \u202e mark",
    "'quotes' /* comment */ // end",
]


@pytest.fixture(scope="session")
def nasty_labels():
    return LABELS


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """An image classifier; its input is a Swift keyword."""
    import coremltools as ct
    import numpy as np
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv2d(3, len(LABELS), 3)

        def forward(self, x):
            return torch.softmax(self.conv(x).mean((2, 3)), 1)

    traced = torch.jit.trace(Net().eval(), torch.zeros(1, 3, 16, 16))
    model = ct.convert(
        traced,
        inputs=[ct.ImageType("in", shape=(1, 3, 16, 16), scale=np.float32(1 / 128))],
        classifier_config=ct.ClassifierConfig(LABELS, predicted_feature_name="class"),
        minimum_deployment_target=ct.target.iOS17,
    )
    model.short_description = 'Tells "breeds" */ apart\nby \\(look).'
    model.author = "A | B"
    model.license = "Apache-2.0"
    path = tmp_path_factory.mktemp("classifier") / "Net.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture(scope="session")
def arrays(tmp_path_factory):
    """Two arrays in, two out, for iOS16; names that collide once they are identifiers."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    specs = [mb.TensorSpec(shape=(1, 4)), mb.TensorSpec(shape=(1, 4))]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS16)
    def program(a, a_2):
        return mb.add(x=a, y=a_2, name="sum"), mb.mul(x=a, y=a_2, name="self")

    model = ct.convert(program, minimum_deployment_target=ct.target.iOS16)
    spec = model.get_spec()
    ct.utils.rename_feature(spec, "a", "default")
    ct.utils.rename_feature(spec, "a_2", "throws")
    model = ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
    path = tmp_path_factory.mktemp("arrays") / "Net.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture
def report(tmp_path):
    """What a validating stage writes."""
    file = tmp_path / "parity.json"
    file.write_text(
        '{"version": 1, "kind": "validate/parity", "compared": "centred logits", '
        '"psnr_db": 41.25, "by_sample": [{"psnr_db": 40}], '
        '"agreement_top1": {"value": 0.9, "n": 20, "low": 0.7, "high": 0.97}}'
    )
    return file
