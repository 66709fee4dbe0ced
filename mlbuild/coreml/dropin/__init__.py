"""coremltools' own ``predict`` on Linux, by the reference runtime.

>>> import mlbuild.coreml
>>> mlbuild.coreml.enable_predict()
>>> import coremltools as ct
>>> ct.models.MLModel("Dogs.mlpackage").predict({"image": picture})

A test-suite asks for it with one line of its pytest configuration::

    addopts = "-p mlbuild.coreml.dropin.pytest_plugin"
"""

from .switch import disable_predict, enable_predict

__all__ = ["disable_predict", "enable_predict"]
