"""What is said about wrong pipeline files: whole messages, as a user sees them."""
# ruff: noqa: E501  (a message shows whole lines)

from __future__ import annotations

from pathlib import Path

import pytest

from mlbuild.errors import PipelineError
from mlbuild.pipeline.load import load
from mlbuild.pipeline.resolve import resolve

HEAD = """\
version: 1
name: dogs
params: {name: x, deep: {a: 1}}
datasets: {photos: {path: photos}}
stages:"""

# What is wrong, a file, all that is told about it.
CASES = [
    (
        "unknown parameter",
        HEAD
        + """
  train: {uses: make/net, inputs: {images: ./data}}
  convert: {uses: to/coreml, inputs: {model: train.model}}
  small:
    uses: shrink/weights
    inputs: {model: convert.model}
    with:
      bitz: 4
""",
        """\
p.yaml:12:7: stage 'small': unknown parameter 'bitz'
  12 |       bitz: 4
     |       ^
  allowed: bits, granularity, symmetric, rules
  hint: did you mean 'bits'?
""",
    ),
    (
        "wrong parameters",
        HEAD
        + """
  train: {uses: make/net, inputs: {images: ./data}, with: {epochs: 0, rate: fast, layers: [1, x]}}
  convert: {uses: to/coreml, inputs: {model: train.model}, with: {name: 1.0}}
  small:
    uses: shrink/weights
    inputs: {model: convert.model}
    matrix: {bits: [3, 4]}
    with:
      bits: ${{ matrix.bits }}
      granularity: chanel
      rules:
        - {layers: a, bit: 4}
        - {bits: 4}
  best: {uses: pick/best, inputs: {models: {all: small.model}}}
""",
        """\
p.yaml:6:68: stage 'train': parameter 'epochs' should be greater than or equal to 1
   6 |   train: {uses: make/net, inputs: {images: ./data}, with: {epochs: 0, rate: fast, layers: [1, x]}}
     |                                                                    ^
  got: 0
  hint: Passes over the data.
p.yaml:6:77: stage 'train': parameter 'rate' should be a number
   6 |   train: {uses: make/net, inputs: {images: ./data}, with: {epochs: 0, rate: fast, layers: [1, x]}}
     |                                                                             ^
  got: 'fast'
p.yaml:6:95: stage 'train': parameter 'layers[1]' should be an integer
   6 |   train: {uses: make/net, inputs: {images: ./data}, with: {epochs: 0, rate: fast, layers: [1, x]}}
     |                                                                                               ^
  got: 'x'
p.yaml:7:73: stage 'convert': parameter 'name' should be a string
   7 |   convert: {uses: to/coreml, inputs: {model: train.model}, with: {name: 1.0}}
     |                                                                         ^
  got: 1.0
p.yaml:13:13: stage 'small': parameter 'bits' should be greater than or equal to 4
  13 |       bits: ${{ matrix.bits }}
     |             ^
  got: 3 in small[bits=3]
  hint: Bits of each weight.
p.yaml:14:20: stage 'small': parameter 'granularity' has no such value
  14 |       granularity: chanel
     |                    ^
  got: 'chanel'
  allowed: tensor, channel
  hint: did you mean 'channel'?
p.yaml:16:23: stage 'small': unknown parameter 'bit' in 'rules[0]'
  16 |         - {layers: a, bit: 4}
     |                       ^
  allowed: layers, bits
  hint: did you mean 'bits'?
p.yaml:17:11: stage 'small': parameter 'rules[1].layers' is missing
  17 |         - {bits: 4}
     |           ^
p.yaml:18:3: stage 'best': parameter 'by' is missing
  18 |   best: {uses: pick/best, inputs: {models: {all: small.model}}}
     |   ^
""",
    ),
    (
        "types and numbers",
        HEAD
        + """
  train: {uses: make/net, inputs: {images: ./data}}
  convert: {uses: to/coreml, inputs: {model: train.model}}
  small: {uses: shrink/weights, inputs: {model: train.model}}
  listed: {uses: to/coreml, inputs: {model: {all: train.model}}}
  best: {uses: pick/best, inputs: {models: convert.model}, with: {by: x}}
  none: {uses: to/coreml}
  other: {uses: to/coreml, inputs: {modell: train.model}}
""",
        """\
p.yaml:8:49: stage 'small': input 'model' takes CoreMLModel, but 'train.model' is TorchModel
   8 |   small: {uses: shrink/weights, inputs: {model: train.model}}
     |                                                 ^
  hint: of that type: convert.model, listed.model, best.model, none.model, other.model
p.yaml:9:51: stage 'listed': input 'model' takes one artifact, not a list
   9 |   listed: {uses: to/coreml, inputs: {model: {all: train.model}}}
     |                                                   ^
  hint: name it without 'all': the stage is then expanded with what it reads
p.yaml:10:44: stage 'best': input 'models' takes a list
  10 |   best: {uses: pick/best, inputs: {models: convert.model}, with: {by: x}}
     |                                            ^
  hint: models: {all: REFERENCE}
p.yaml:11:3: stage 'none': input 'model' is missing
  11 |   none: {uses: to/coreml}
     |   ^
  hint: model: TorchModel | TorchScript. What to convert.
p.yaml:12:28: stage 'other': input 'model' is missing
  12 |   other: {uses: to/coreml, inputs: {modell: train.model}}
     |                            ^
  hint: model: TorchModel | TorchScript. What to convert.
p.yaml:12:37: stage 'other': kind 'to/coreml' has no input 'modell'
  12 |   other: {uses: to/coreml, inputs: {modell: train.model}}
     |                                     ^
  allowed: model
  hint: did you mean 'model'?
""",
    ),
    (
        "references",
        HEAD
        + """
  a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
  b: {run: b, outputs: {p: out/b}, if: true}
  c: {run: c, if: false, outputs: {o: out/c}}
  d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
  train: {run: t}
""",
        """\
p.yaml:6:27: stage 'a': input 'x': unknown stage 'trian'
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                           ^
  allowed: a, b, d, train
  hint: did you mean 'train'?
p.yaml:6:43: stage 'a': input 'y': stage 'b' has no output 'q'
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                                           ^
  allowed: p
p.yaml:6:51: stage 'a': input 'z': unknown dataset 'photo'
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                                                   ^
  allowed: photos
  hint: did you mean 'photos'?
p.yaml:6:70: stage 'a': input 'u': the release has no artifact 'model'
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                                                                      ^
  hint: name it: release: {artifacts: {model: STAGE.OUTPUT}}
p.yaml:6:88: stage 'a': input 'v': 'nothing' names no input
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                                                                                        ^
  allowed: STAGE.OUTPUT, STAGE[AXIS=VALUE].OUTPUT, datasets.NAME, release.ARTIFACT, ./PATH
  hint: a path begins with './': ./nothing
p.yaml:6:100: stage 'a': input 'w' is text
   6 |   a: {run: a, inputs: {x: trian.model, y: b.q, z: datasets.photo, u: release.model, v: nothing, w: 3}}
     |                                                                                                    ^
  got: 3
  hint: in quotes it is text: "3"
p.yaml:9:27: stage 'd': input 'x': stage 'c' is off: its 'if' is false
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                           ^
p.yaml:9:35: stage 'd': stage 'b' has no matrix axis 'bits'
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                   ^
  hint: it has no matrix
p.yaml:9:53: stage 'd': input 'z': in brackets stands AXIS=VALUE, several with commas between
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                     ^
  got: 'b[bits].p'
p.yaml:9:69: stage 'd': input 'u' is a list
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                                     ^
  hint: {all: [REFERENCE, ...]}
p.yaml:9:79: stage 'd': input 'v' has either 'from' or 'all'
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                                               ^
  hint: {from: REFERENCE} or {all: REFERENCE}
p.yaml:9:80: stage 'd': input 'v': unknown key 'form'
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                                                ^
  allowed: from, all, trust, type
  hint: did you mean 'from'?
p.yaml:9:101: stage 'd': 'needs': unknown stage 'e'
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                                                                     ^
  allowed: a, b, d, train
p.yaml:9:104: stage 'd': 'needs' names stages
   9 |   d: {run: d, inputs: {x: c.o, y: "b[bits=4].p", z: "b[bits].p", u: [b.p], v: {form: b.p}}, needs: [e, b.p]}
     |                                                                                                        ^
  got: 'b.p'
  hint: only the stage: 'b'
""",
    ),
    (
        "commands",
        HEAD
        + """
  a:
    run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
    inputs: {y: ./data}
    outputs: {o: out/o}
  b: {run: "echo ${{ params.name", outputs: {o: out/b}}
  c: {run: ""}
  d: {run: [a, b]}
  e: {run: "echo ${{ params.deep }} ${{ params . x }}"}
""",
        """\
p.yaml:7:10: stage 'a': 'run' names the unknown input 'x'
   7 |     run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
     |          ^
  allowed: y
p.yaml:7:10: stage 'a': 'run' names the unknown output 'z'
   7 |     run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
     |          ^
  allowed: o
p.yaml:7:10: stage 'a': 'run': unknown parameter 'nme'
   7 |     run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
     |          ^
  allowed: name, deep
  hint: did you mean 'name'?
p.yaml:7:10: stage 'a': 'run': unknown matrix axis 'bits'
   7 |     run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
     |          ^
  hint: there is nothing in 'matrix'
p.yaml:7:10: stage 'a': 'run': unknown name 'env.HOME'
   7 |     run: cp ${{ inputs.x }} ${{ outputs.z }} ${{ params.nme }} ${{ matrix.bits }} ${{ env.HOME }}
     |          ^
  allowed: params.NAME, matrix.NAME, inputs.NAME, outputs.NAME
  hint: in a command it is the shell's own: $NAME
p.yaml:10:12: stage 'b': 'run': '${{' without '}}'
  10 |   b: {run: "echo ${{ params.name", outputs: {o: out/b}}
     |            ^
  got: ${{ params.name
p.yaml:11:12: stage 'c': 'run' is text
  11 |   c: {run: ""}
     |            ^
  got: ''
p.yaml:12:12: stage 'd': 'run' is a command
  12 |   d: {run: [a, b]}
     |            ^
  got: a list
  hint: several lines go below 'run: |'
p.yaml:13:12: stage 'e': 'run': a map cannot stand inside text
  13 |   e: {run: "echo ${{ params.deep }} ${{ params . x }}"}
     |            ^
  got: ${{ params.deep }}
p.yaml:13:12: stage 'e': 'run': '${{ params . x }}' is not understood
  13 |   e: {run: "echo ${{ params.deep }} ${{ params . x }}"}
     |            ^
  allowed: ${{ params.NAME }}, ${{ matrix.NAME }}, ${{ inputs.NAME }}, ${{ outputs.NAME }}
""",
    ),
    (
        "keys",
        HEAD
        + """
  a: {runs: x}
  b: {run: x, uses: make/net}
  c: {run: x, with: {a: 1}}
  d: {uses: make/nett}
  e: {uses: make/net, metrics: x, inputs: {images: ./data}}
  4f: {run: x}
  datasets: {run: x}
  g: just text
  h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
  i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
""",
        """\
p.yaml:6:7: stage 'a': unknown key 'runs'
   6 |   a: {runs: x}
     |       ^
  allowed: uses, run, inputs, outputs, with, metrics, plots, matrix, needs, gates, resources, timeout_minutes, retries, env, secrets, toolchain, if
  hint: did you mean 'run'?
p.yaml:7:7: stage 'b' has 'uses' and 'run'; it can have one of them
   7 |   b: {run: x, uses: make/net}
     |       ^
p.yaml:8:15: stage 'c': 'with' goes with 'uses'
   8 |   c: {run: x, with: {a: 1}}
     |               ^
  hint: a command names its values as ${{ params.NAME }}
p.yaml:9:13: stage 'd': unknown stage kind 'make/nett'
   9 |   d: {uses: make/nett}
     |             ^
  allowed: make/net, pick/best, shrink/weights, to/coreml
  hint: did you mean 'make/net'?
p.yaml:10:23: stage 'e': 'metrics' goes with 'run'
  10 |   e: {uses: make/net, metrics: x, inputs: {images: ./data}}
     |                       ^
  hint: a kind writes its metrics by itself
p.yaml:11:3: '4f' is no name for a stage
  11 |   4f: {run: x}
     |   ^
  hint: a name begins with a letter and goes on with letters, digits, '_' and '-'
p.yaml:12:3: a stage cannot be called 'datasets': references begin so
  12 |   datasets: {run: x}
     |   ^
p.yaml:13:6: stage 'g' is a map
  13 |   g: just text
     |      ^
  got: 'just text'
p.yaml:14:32: stage 'h': 'resources': 'cpu' is a whole number, at least 1
  14 |   h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
     |                                ^
  got: 0
p.yaml:14:35: stage 'h': 'resources': unknown key 'gpus'
  14 |   h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
     |                                   ^
  allowed: cpu, gpu, memory_gb, macos
  hint: did you mean 'gpu'?
p.yaml:14:55: stage 'h': 'resources': 'memory_gb' is a number, at least 0
  14 |   h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
     |                                                       ^
  got: -1
p.yaml:14:77: stage 'h': 'timeout_minutes' is a number, above 0
  14 |   h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
     |                                                                             ^
  got: 0
p.yaml:14:89: stage 'h': 'retries' is a whole number, at least 0 and at most 100
  14 |   h: {run: x, resources: {cpu: 0, gpus: 1, memory_gb: -1}, timeout_minutes: 0, retries: 1.5}
     |                                                                                         ^
  got: 1.5
p.yaml:15:21: stage 'i': 'env': 'A-B' is no name of a variable
  15 |   i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
     |                     ^
p.yaml:15:34: stage 'i': 'env': 'C' is text
  15 |   i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
     |                                  ^
  got: a list
p.yaml:15:50: stage 'i': 'secrets' names environment variables
  15 |   i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
     |                                                  ^
  got: 'a b'
p.yaml:15:67: stage 'i': unknown toolchain 'troch'
  15 |   i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
     |                                                                   ^
  allowed: torch
  hint: did you mean 'torch'?
p.yaml:15:78: stage 'i': 'if' is true or false
  15 |   i: {run: x, env: {"A-B": 1, C: [1]}, secrets: [a b], toolchain: troch, if: maybe}
     |                                                                              ^
  got: 'maybe'
""",
    ),
    (
        "gates",
        HEAD
        + """
  train:
    uses: make/net
    inputs: {images: ./data}
    gates: {acuracy: {min: 0.5}, accuracy: {mim: 1}, recall.cat: 0.5, on_fail: exclud}
  small:
    uses: to/coreml
    inputs: {model: train.model}
    gates: {size: {max: 1}}
  tiny:
    uses: shrink/weights
    inputs: {model: small.model}
    gates: {size_mb: {min_lower: 1, max: big, max_drop: 0.1, first: {min: 1}}}
  run:
    run: x
    gates: {any: {min: 1}}
""",
        """\
p.yaml:9:13: stage 'train': unknown metric 'acuracy'
   9 |     gates: {acuracy: {min: 0.5}, accuracy: {mim: 1}, recall.cat: 0.5, on_fail: exclud}
     |             ^
  allowed: accuracy, recall.*
  hint: did you mean 'accuracy'?
p.yaml:9:45: stage 'train': gate 'accuracy': unknown key 'mim'
   9 |     gates: {acuracy: {min: 0.5}, accuracy: {mim: 1}, recall.cat: 0.5, on_fail: exclud}
     |                                             ^
  allowed: min, max, min_lower, min_upper, max_lower, max_upper, max_drop, max_rise, first
  hint: did you mean 'min'?
p.yaml:9:66: stage 'train': gate 'recall.cat' is a map of limits
   9 |     gates: {acuracy: {min: 0.5}, accuracy: {mim: 1}, recall.cat: 0.5, on_fail: exclud}
     |                                                                  ^
  allowed: min, max, min_lower, min_upper, max_lower, max_upper, max_drop, max_rise, first
  hint: recall.cat: {min: 0.5}
p.yaml:9:80: stage 'train': 'on_fail' has no such value
   9 |     gates: {acuracy: {min: 0.5}, accuracy: {mim: 1}, recall.cat: 0.5, on_fail: exclud}
     |                                                                                ^
  got: 'exclud'
  allowed: stop, exclude
  hint: did you mean 'exclude'?
p.yaml:13:13: stage 'small': unknown metric 'size'
  13 |     gates: {size: {max: 1}}
     |             ^
  hint: this stage records no metrics
p.yaml:17:23: stage 'tiny': gate 'size_mb': 'min_lower' is for metrics that have an interval, as shares
  17 |     gates: {size_mb: {min_lower: 1, max: big, max_drop: 0.1, first: {min: 1}}}
     |                       ^
  hint: use 'min'
p.yaml:17:42: stage 'tiny': gate 'size_mb': 'max' is a number
  17 |     gates: {size_mb: {min_lower: 1, max: big, max_drop: 0.1, first: {min: 1}}}
     |                                          ^
  got: 'big'
p.yaml:17:57: stage 'tiny': gate 'size_mb': 'max_drop' has a value and what it is compared with
  17 |     gates: {size_mb: {min_lower: 1, max: big, max_drop: 0.1, first: {min: 1}}}
     |                                                         ^
  hint: max_drop: {value: 0.01, against: release}
p.yaml:20:13: stage 'run': unknown metric 'any'
  20 |     gates: {any: {min: 1}}
     |             ^
  hint: this stage records no metrics
""",
    ),
    (
        "paths",
        HEAD
        + """
  a: {run: a, outputs: {o: out/x}}
  b: {run: b, outputs: {o: out/x}}
  c: {run: c, outputs: {o: out/x/y}}
  d: {run: d, inputs: {i: out/x, j: out/x/z, k: ./out, l: ./dta/a.txt, m: ./data}, outputs: {o: out/d}}
  e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
  f: {run: f, inputs: {i: datasets.photos}}
""",
        """\
p.yaml:4:27: dataset 'photos': 'photos' holds 'photos/t', which stage 'e' writes
   4 | datasets: {photos: {path: photos}}
     |                           ^
  hint: read a smaller folder, or write somewhere else
p.yaml:7:28: stage 'b' and stage 'a' both write 'out/x'
   7 |   b: {run: b, outputs: {o: out/x}}
     |                            ^
  hint: give each its own path
p.yaml:8:28: stage 'c' writes 'out/x/y' inside 'out/x' of stage 'a'
   8 |   c: {run: c, outputs: {o: out/x/y}}
     |                            ^
  hint: give each its own path
p.yaml:9:27: stage 'd': input 'i': 'out/x' is what stage 'a' writes
   9 |   d: {run: d, inputs: {i: out/x, j: out/x/z, k: ./out, l: ./dta/a.txt, m: ./data}, outputs: {o: out/d}}
     |                           ^
  hint: name it as a.o
p.yaml:9:37: stage 'd': input 'j': 'out/x/z' lies in 'out/x', which stage 'a' writes
   9 |   d: {run: d, inputs: {i: out/x, j: out/x/z, k: ./out, l: ./dta/a.txt, m: ./data}, outputs: {o: out/d}}
     |                                     ^
  hint: name it as a.o
p.yaml:9:49: stage 'd': input 'k': 'out' holds 'out/x', which stage 'a' writes
   9 |   d: {run: d, inputs: {i: out/x, j: out/x/z, k: ./out, l: ./dta/a.txt, m: ./data}, outputs: {o: out/d}}
     |                                                 ^
  hint: read a smaller folder, or write somewhere else
p.yaml:9:59: stage 'd': input 'l': there is nothing at 'dta/a.txt'
   9 |   d: {run: d, inputs: {i: out/x, j: out/x/z, k: ./out, l: ./dta/a.txt, m: ./data}, outputs: {o: out/d}}
     |                                                           ^
  hint: did you mean 'data/a.txt'?
p.yaml:10:28: stage 'e': output 'o' lies outside the project
  10 |   e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
     |                            ^
  got: '../o'
  hint: outputs lie in the project, build/ is the usual place
p.yaml:10:37: stage 'e': output 'p' lies outside the project
  10 |   e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
     |                                     ^
  got: '/etc/p'
  hint: outputs lie in the project, build/ is the usual place
p.yaml:10:48: stage 'e': output 'q' lies in '.git', which is no place for outputs
  10 |   e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
     |                                                ^
  got: '.git/x'
  hint: outputs lie in the project, build/ is the usual place
p.yaml:10:59: stage 'e': output 'r' is the whole project
  10 |   e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
     |                                                           ^
  got: '.'
  hint: outputs lie in the project, build/ is the usual place
p.yaml:10:65: the pipeline file: 'p.yaml' is what stage 'e' writes
  10 |   e: {run: e, outputs: {o: ../o, p: /etc/p, q: .git/x, r: ., s: p.yaml, t: photos/t}}
     |                                                                 ^
  hint: give the output another path
""",
    ),
    (
        "matrix",
        HEAD
        + """
  a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
  b: {run: b, matrix: {x: [1, 2], exclude: [{x: 1}, {x: 2}]}}
  c: {run: c, matrix: {x: [1, 2]}, outputs: {o: out/c}}
  d: {run: d, matrix: {x: [1, 2]}, outputs: {o: "out/d${{ matrix.y }}"}}
  e: {run: e, matrix: {x: [1, 2]}, outputs: {o: "out/e${{ matrix.x }}"}}
  f: {run: f, matrix: {x: [2, 3]}, inputs: {i: e.o}}
  g: {run: g, inputs: {i: "e[x=3].o", j: "e[z=3].o"}}
  h: {run: h, matrix: {x: [1], exclude: [{q: 1}]}}
  i: {run: i, matrix: {include: [{x: 1, y: [1]}, {x: 1, y: [2]}]}}
""",
        """\
p.yaml:6:31: stage 'a': axis 'x' has 1 twice
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                               ^
p.yaml:6:38: stage 'a': axis 'y' is a list of values
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                                      ^
  got: 3
p.yaml:6:44: stage 'a': axis 'z' is a list of values
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                                            ^
  got: an empty list
p.yaml:6:52: stage 'a': a value of axis 'u' is text, a number, true or false
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                                                    ^
  got: a list
  hint: name it on the axis, and add the rest with 'include'
p.yaml:6:62: stage 'a': a value of axis 'v' cannot stand in a variant's name
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                                                              ^
  got: 'a,b'
  hint: it may hold no brackets, commas, '=', control characters or outer blanks
p.yaml:6:79: stage 'a': 'include' is a list of maps
   6 |   a: {run: a, matrix: {x: [1, 1], y: 3, z: [], u: [[1]], v: ["a,b"], include: {x: 1}}}
     |                                                                               ^
  got: a map
p.yaml:7:23: stage 'b': 'exclude' leaves no variant
   7 |   b: {run: b, matrix: {x: [1, 2], exclude: [{x: 1}, {x: 2}]}}
     |                       ^
p.yaml:8:49: stage 'c': output 'o' is one path for 2 variants
   8 |   c: {run: c, matrix: {x: [1, 2]}, outputs: {o: out/c}}
     |                                                 ^
  hint: put the axes into it: ${{ matrix.x }}
p.yaml:9:49: stage 'd': unknown matrix axis 'y'
   9 |   d: {run: d, matrix: {x: [1, 2]}, outputs: {o: "out/d${{ matrix.y }}"}}
     |                                                 ^
  allowed: x
p.yaml:11:48: stage 'f': no variant of stage 'e' has x=3
  11 |   f: {run: f, matrix: {x: [2, 3]}, inputs: {i: e.o}}
     |                                                ^
  allowed: e[x=1], e[x=2]
p.yaml:12:27: stage 'g': stage 'e' has no variant [x=3]
  12 |   g: {run: g, inputs: {i: "e[x=3].o", j: "e[z=3].o"}}
     |                           ^
  allowed: e[x=1], e[x=2]
  hint: did you mean 'e[x=2]'?
p.yaml:12:42: stage 'g': stage 'e' has no matrix axis 'z'
  12 |   g: {run: g, inputs: {i: "e[x=3].o", j: "e[z=3].o"}}
     |                                          ^
  allowed: x
p.yaml:13:42: stage 'h': 'exclude' names the unknown axis 'q'
  13 |   h: {run: h, matrix: {x: [1], exclude: [{q: 1}]}}
     |                                          ^
  allowed: x
p.yaml:14:23: stage 'i': two variants differ only in a list or map, and so share a name
  14 |   i: {run: i, matrix: {include: [{x: 1, y: [1]}, {x: 1, y: [2]}]}}
     |                       ^
  hint: add an axis that names them: {recipe: mixed, ...}
""",
    ),
    (
        "circle",
        HEAD
        + """
  a: {run: a, inputs: {i: c.o}, outputs: {o: out/a}}
  b: {run: b, inputs: {i: a.o}, outputs: {o: out/b}}
  c: {run: c, inputs: {i: b.o}, outputs: {o: out/c}}
  d: {run: d, needs: d}
  e: {run: e, nedds: a}
""",
        """\
p.yaml:7:27: the stages form a circle: a -> b -> c -> a
   7 |   b: {run: b, inputs: {i: a.o}, outputs: {o: out/b}}
     |                           ^
p.yaml:9:22: the stages form a circle: d -> d
   9 |   d: {run: d, needs: d}
     |                      ^
p.yaml:10:15: stage 'e': unknown key 'nedds'
  10 |   e: {run: e, nedds: a}
     |               ^
  allowed: uses, run, inputs, outputs, with, metrics, plots, matrix, needs, gates, resources, timeout_minutes, retries, env, secrets, toolchain, if
  hint: did you mean 'needs'?
""",
    ),
    (
        "version",
        """\
version: 2
name: d
stages: {}
""",
        """\
p.yaml:1:10: version 2 of the pipeline file is newer than this mlbuild knows
   1 | version: 2
     |          ^
  hint: it needs a newer mlbuild; this one reads version 1
""",
    ),
    (
        "nothing",
        """\
nam: d
""",
        """\
p.yaml:1:1: pipeline file: unknown key 'nam'
   1 | nam: d
     | ^
  allowed: version, name, params, datasets, toolchains, stages, release, profiles, ledger, strict
  hint: did you mean 'name'?
p.yaml:1:1: the file names no version of its format
   1 | nam: d
     | ^
  hint: the first line is 'version: 1'
p.yaml:1:1: the file has no 'stages'
   1 | nam: d
     | ^
""",
    ),
    (
        "name",
        """\
version: one
name: a/b
stages: []
ledger: dcv
strict: 1
""",
        """\
p.yaml:1:10: no such version of the pipeline file
   1 | version: one
     |          ^
  got: 'one'
  allowed: 1
p.yaml:2:7: 'name' is no name for a pipeline
   2 | name: a/b
     |       ^
  got: 'a/b'
  hint: letters, digits, '.', '_' and '-'; it begins with a letter or digit
p.yaml:3:9: 'stages' is a map
   3 | stages: []
     |         ^
  got: a list
p.yaml:4:9: 'ledger' has no such value
   4 | ledger: dcv
     |         ^
  got: 'dcv'
  allowed: dvc, none
  hint: did you mean 'dvc'?
p.yaml:5:9: 'strict' is true or false
   5 | strict: 1
     |         ^
  got: 1
""",
    ),
    (
        "datasets",
        """\
version: 1
stages: {}
datasets:
  a: {s3: "s3://x"}
  b: {url: "https://x"}
  c: {url: "ftp://x", sha256: abc}
  d: {git: "https://x"}
  e: {pypi: foolbox}
  f: {path: x, url: y}
  g: {path: x, sha256: y}
  h: ./data
  i: {files: x}
  j: {path: 3}
  k: {pypi: a==1, files: 3}
  l: {hf: x}
""",
        """\
p.yaml:4:7: dataset 'a': 's3' is not supported yet
   4 |   a: {s3: "s3://x"}
     |       ^
  allowed: path, pypi, url, git, hf
p.yaml:5:3: dataset 'b': a url needs the digest of what it gives
   5 |   b: {url: "https://x"}
     |   ^
  hint: add 'sha256: ...' (64 hexadecimal digits; `sha256sum FILE` prints them) or 'md5'
p.yaml:6:12: dataset 'c': 'url' begins with https://, http:// or file://
   6 |   c: {url: "ftp://x", sha256: abc}
     |            ^
  got: 'ftp://x'
p.yaml:6:31: dataset 'c': 'sha256' is 64 hexadecimal digits
   6 |   c: {url: "ftp://x", sha256: abc}
     |                               ^
  got: 'abc'
p.yaml:7:3: dataset 'd': 'git' needs a revision
   7 |   d: {git: "https://x"}
     |   ^
  hint: add 'rev: ...', a tag, branch or commit
p.yaml:8:13: dataset 'e': 'pypi' names a distribution and its exact version
   8 |   e: {pypi: foolbox}
     |             ^
  got: 'foolbox'
  hint: NAME==VERSION
p.yaml:9:16: dataset 'f' comes from one place, not from path and url
   9 |   f: {path: x, url: y}
     |                ^
p.yaml:10:16: dataset 'g': unknown key 'sha256'
  10 |   g: {path: x, sha256: y}
     |                ^
  allowed: path
p.yaml:11:6: dataset 'h' is a map
  11 |   h: ./data
     |      ^
  got: './data'
  hint: a path is written {path: DIR}
p.yaml:12:3: dataset 'i' does not say where it comes from
  12 |   i: {files: x}
     |   ^
  allowed: path, pypi, url, git, hf
p.yaml:13:13: dataset 'j': 'path' is text
  13 |   j: {path: 3}
     |             ^
  got: 3
  hint: in quotes it is text: "3"
p.yaml:14:26: dataset 'k': 'files' is a glob or a list of globs
  14 |   k: {pypi: a==1, files: 3}
     |                          ^
  got: 3
p.yaml:15:11: dataset 'l': 'hf' is a map
  15 |   l: {hf: x}
     |           ^
  got: 'x'
  hint: hf: {repo: ORG/NAME, rev: REVISION}
""",
    ),
    (
        "params",
        """\
version: 1
params: {a: "${{ params.b }}", b: "${{ params.a }}", c: "${{ params.d }}", e: "x ${{ params.f }}", f: [1], g: "${{ a b }}"}
stages: {}
profiles: {p: {parms: {}, stages: {x: {wiht: 1}}}, q: 3}
toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
""",
        """\
p.yaml:2:13: params: 'a' is made of itself: a -> b -> a
   2 | params: {a: "${{ params.b }}", b: "${{ params.a }}", c: "${{ params.d }}", e: "x ${{ params.f }}", f: [1], g: "${{ a b }
     |             ^
p.yaml:2:57: parameter 'c': unknown parameter 'd'
   2 | params: {a: "${{ params.b }}", b: "${{ params.a }}", c: "${{ params.d }}", e: "x ${{ params.f }}", f: [1], g: "${{ a b }
     |                                                         ^
  allowed: a, b, c, e, f, g
p.yaml:2:79: parameter 'e': a list cannot stand inside text
   2 | ams: {a: "${{ params.b }}", b: "${{ params.a }}", c: "${{ params.d }}", e: "x ${{ params.f }}", f: [1], g: "${{ a b }}"}
     |                                                                            ^
  got: ${{ params.f }}
p.yaml:2:111: parameter 'g': '${{ a b }}' is not understood
   2 | ams: {a: "${{ params.b }}", b: "${{ params.a }}", c: "${{ params.d }}", e: "x ${{ params.f }}", f: [1], g: "${{ a b }}"}
     |                                                                                                            ^
  allowed: ${{ params.NAME }}
p.yaml:4:16: profile 'p': unknown key 'parms'
   4 | profiles: {p: {parms: {}, stages: {x: {wiht: 1}}}, q: 3}
     |                ^
  allowed: params, datasets, toolchains, stages, release, ledger, strict
  hint: did you mean 'params'?
p.yaml:4:40: profile 'p': stage 'x': unknown key 'wiht'
   4 | profiles: {p: {parms: {}, stages: {x: {wiht: 1}}}, q: 3}
     |                                        ^
  allowed: uses, run, inputs, outputs, with, metrics, plots, matrix, needs, gates, resources, timeout_minutes, retries, env, secrets, toolchain, if
  hint: did you mean 'with'?
p.yaml:4:55: profile 'q' is a map
   4 | profiles: {p: {parms: {}, stages: {x: {wiht: 1}}}, q: 3}
     |                                                       ^
  got: 3
p.yaml:5:14: toolchain 't': 'requirements' is missing
   5 | toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
     |              ^
p.yaml:5:26: toolchain 't': 'python' is text
   5 | toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
     |                          ^
  got: 3.11
  hint: in quotes it is text: "3.11"
p.yaml:5:45: toolchain 'u': 'python' is a minor version, as "3.11"
   5 | toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
     |                                             ^
  got: '3'
p.yaml:5:64: toolchain 'u': there is no file 'none.txt'
   5 | toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
     |                                                                ^
p.yaml:5:80: toolchain 'v' is a map
   5 | toolchains: {t: {python: 3.11}, u: {python: "3", requirements: ./none.txt}, v: x}
     |                                                                                ^
  got: 'x'
""",
    ),
]


@pytest.mark.parametrize(("text", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_everything_wrong_is_told_at_once(project, text: str, message: str) -> None:
    project.put("data/a.txt")
    project.put("photos/a.txt")
    assert project.told(text).replace(str(project.root), "ROOT") + "\n" == message


def test_no_more_than_twenty_problems_are_printed(project) -> None:
    text = "version: 1\nstages: {}\n" + "".join(f"junk{n}: 1\n" for n in range(100_000))
    message = project.told(text)
    assert message.endswith("\n... and 99980 more problems")
    assert message.count("p.yaml:") == 20


def test_many_wrong_stages_are_told_quickly(project) -> None:
    text = "version: 1\nstages:\n" + "".join(f"  s{n}: {{rum: a}}\n" for n in range(20_000))
    assert "... and 19980 more problems" in project.told(text)


def test_a_profile_that_misspells_a_stage_is_told_the_nearest(project) -> None:
    text = (
        "version: 1\nstages: {train: {run: a}}\n"
        "profiles:\n  tiny:\n    stages:\n      trian: {retries: 1}\n"
    )
    assert project.told(text, profiles=["tiny"]) == (
        "p.yaml:6:7: stage 'trian' has neither 'uses' nor 'run'\n"
        "   6 |       trian: {retries: 1}\n"
        "     |       ^\n"
        "  hint: did you mean 'train'?"
    )


def test_a_document_can_be_resolved_again_after_an_error(project) -> None:
    text = "version: 1\nparams: {a: 1}\nstages: {}\n"
    project.file.write_text(text)
    document = load(Path("p.yaml"))
    with pytest.raises(PipelineError):
        resolve(document, project.registry, sets=["b=1"], root=project.root)
    assert resolve(document, project.registry, sets=["a=2"], root=project.root).params == {"a": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sets": ["bitz=4"]},
            "--set:1:1: unknown parameter 'bitz'\n"
            "   1 | bitz=4\n"
            "     | ^\n"
            "  allowed: bits, deep\n"
            "  hint: did you mean 'bits'?",
        ),
        (
            {"sets": ["deep.x=4"]},
            "--set:1:1: unknown parameter 'x' in 'deep'\n   1 | deep.x=4\n     | ^\n  allowed: y",
        ),
        (
            {"sets": ["bits"]},
            "--set:1:1: --set takes NAME=VALUE\n   1 | bits\n     | ^\n  hint: --set bits=4",
        ),
        (
            {"sets": ["bits=[4"]},
            "--set:1:6: --set: the value is not valid YAML\n"
            "   1 | bits=[4\n"
            "     |      ^\n"
            "  hint: put text with special characters in quotes: --set 'name=\"a: b\"'",
        ),
        (
            {"sets": ["stages.a.run=3"]},
            "--set:1:14: stage 'a': 'run' is text\n"
            "   1 | stages.a.run=3\n"
            "     |              ^\n"
            "  got: 3\n"
            '  hint: in quotes it is text: "3"',
        ),
        (
            {"profiles": ["tini"]},
            "--profile tini: there is no such profile\n"
            "  allowed: tiny\n"
            "  hint: did you mean 'tiny'?",
        ),
    ],
)
def test_wrong_options_are_told(project, options: dict, message: str) -> None:
    text = (
        "version: 1\nparams: {bits: 1, deep: {y: 1}}\nstages: {a: {run: a}}\nprofiles: {tiny: {}}"
    )
    assert project.told(text, **options) == message


def test_a_kind_that_is_not_trusted_says_what_to_type(project) -> None:
    from mlbuild.registry import Registry, Root

    folder = project.root / "kinds"
    project.registry = Registry([Root(folder, "project")], trusted=False)
    assert project.told("version: 1\nstages:\n  a: {uses: make/net}\n") == (
        "p.yaml:3:13: stage 'a': the stage kind 'make/net' is code of this project, which is not "
        "trusted yet\n"
        "   3 |   a: {uses: make/net}\n"
        "     |             ^\n"
        f"  got: {folder}/make/net\n"
        "  hint: read it, then type: mlbuild trust"
    )
