"""Which layers of neural networks there are."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


def test_every_layer_type_of_the_specification_has_a_builder_and_no_other_has():
    from mlbuild.coreml.nn.layer import builders
    from mlbuild.coreml.protos import model_proto

    network = model_proto().Model().neuralNetwork
    oneof = network.layers.add().DESCRIPTOR.oneofs_by_name["layer"]
    types = {field.name for field in oneof.fields}
    assert len(types) == 158
    assert set(builders()) == types
