"""tf.keras.applications: what each takes, and where its weights are to be had.

Nothing is downloaded: weights come from a file. Standard library only, so that a spec may read it.

Source: each network's ``preprocess_input`` and its page in the Keras API reference.
"""

from __future__ import annotations

from dataclasses import dataclass

_HOME = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Application:
    """One network.

    Attributes:
        module: of tf.keras.applications.
        scaling: "tf" (-1 to 1), "torch" (by ImageNet's mean and deviation), "caffe" (BGR, less
            ImageNet's mean), "inside" (the network scales pixels itself).
        side: of the pictures that it was trained on.
        least: side that it takes.
        width: whether it has ``alpha``.
    """

    module: str
    scaling: str
    side: int = 224
    least: int = 32
    width: bool = False


_LISTED: tuple[tuple[str, str, str, int, int], ...] = (
    ("DenseNet121 DenseNet169 DenseNet201", "densenet", "torch", 224, 32),
    ("EfficientNetB0", "efficientnet", "inside", 224, 32),
    ("EfficientNetB1", "efficientnet", "inside", 240, 32),
    ("EfficientNetB2", "efficientnet", "inside", 260, 32),
    ("EfficientNetB3", "efficientnet", "inside", 300, 32),
    ("EfficientNetB4", "efficientnet", "inside", 380, 32),
    ("EfficientNetV2B0", "efficientnet_v2", "inside", 224, 32),
    ("EfficientNetV2B1", "efficientnet_v2", "inside", 240, 32),
    ("EfficientNetV2B2", "efficientnet_v2", "inside", 260, 32),
    ("EfficientNetV2B3", "efficientnet_v2", "inside", 300, 32),
    ("InceptionV3", "inception_v3", "tf", 299, 75),
    ("InceptionResNetV2", "inception_resnet_v2", "tf", 299, 75),
    ("MobileNet", "mobilenet", "tf", 224, 32),
    ("MobileNetV2", "mobilenet_v2", "tf", 224, 32),
    ("MobileNetV3Large MobileNetV3Small", "mobilenet_v3", "inside", 224, 32),
    ("NASNetMobile", "nasnet", "tf", 224, 32),
    ("ResNet50 ResNet101 ResNet152", "resnet", "caffe", 224, 32),
    ("ResNet50V2 ResNet101V2 ResNet152V2", "resnet_v2", "tf", 224, 32),
    ("VGG16", "vgg16", "caffe", 224, 32),
    ("VGG19", "vgg19", "caffe", 224, 32),
    ("Xception", "xception", "tf", 299, 71),
)

APPLICATIONS = {
    name: Application(module, scaling, side, least, name.startswith("MobileNet"))
    for names, module, scaling, side, least in _LISTED
    for name in names.split()
}

# (pixel - mean) / std, channels in the order of the network.
SCALINGS = {
    "tf": ("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": ("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ("BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "inside": ("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def where(name: str) -> str:
    """Where its authors keep its weights."""
    folder = APPLICATIONS[name].module
    return f"{_HOME}{folder}/"
