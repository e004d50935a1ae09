"""The parameters of fitted networks as a safetensors file.

Names are those of the PennyLane source that hqnas exports, behind the replicate: `replicate.0.before.2.weight` is the
second linear layer before the circuit (every other place of the sequence is an activation), `replicate.0.weights` are
the circuit's, `replicate.0.after.0.bias` is a bias behind it. So the tensors of one replicate, without their prefix,
are a state that `Network.load_state_dict` of that source takes. Weights of a layer are (outputs, inputs), float64.

The metadata are one JSON document under the key `hqnas`: `format`, `genome`, `digest`, `protocol`, `protocol_digest`,
`training` (learning rate, epochs run and reported) and `data` (how the inputs were prepared). One key, because the
library writes several in an order of chance, and equal weights are to be equal files.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nas.circuits import Architecture
from nas.space import Genome
from nas.spec import Protocol
from nas.training.hybrid import MemberParameters

FORMAT: Final = "hqnas 1"

#: A file may be this large; what would be larger is not kept.
MAX_BYTES: Final = 16 * 2**20


class UnreadableWeights(ValueError):
    """A file that does not hold the weights of a candidate."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters of every replicate of a candidate, and what they are parameters of."""

    genome: Genome
    protocol: Protocol
    replicates: tuple[MemberParameters, ...]
    training: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def architecture(self) -> Architecture:
        """The network."""
        return Architecture.build(self.genome, self.protocol)


def to_safetensors(weights: Weights) -> bytes | None:
    """Returns the file, the same bytes for the same weights; None where it would be larger than MAX_BYTES."""
    architecture = weights.architecture
    tensors = {
        f"replicate.{number}.{name}": tensor.contiguous()
        for number, parameters in enumerate(weights.replicates)
        for name, tensor in named_tensors(architecture, parameters).items()
    }
    if sum(8 * tensor.numel() for tensor in tensors.values()) > MAX_BYTES:
        return None
    document = {
        "format": FORMAT,
        "genome": weights.genome.to_json(),
        "digest": weights.genome.digest,
        "protocol": weights.protocol.to_json(),
        "protocol_digest": weights.protocol.digest,
        "training": weights.training,
        "data": weights.data,
    }
    return save(tensors, {"hqnas": json.dumps(document, sort_keys=True, separators=(",", ":"))})


def from_safetensors(content: bytes) -> Weights:
    """Returns what `to_safetensors` wrote.

    Raises:
        UnreadableWeights: the content is not such a file, or a tensor is missing or has another shape.
    """
    try:
        metadata = metadata_of(content)
        tensors = load(content)
        genome = Genome.from_json(metadata["genome"])
        protocol = Protocol.model_validate(metadata["protocol"])
        training, data = metadata["training"], metadata["data"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UnreadableWeights(f"not a file of weights that hqnas wrote: {error}") from error
    architecture = Architecture.build(genome, protocol)
    numbers = sorted({int(name.split(".")[1]) for name in tensors})
    replicates = tuple(_gathered(architecture, tensors, f"replicate.{number}.") for number in numbers)
    return Weights(genome, protocol, replicates, training, data)


def metadata_of(content: bytes) -> dict[str, Any]:
    """Returns hqnas's part of a file's metadata; the format is eight bytes of a length, then a header of JSON."""
    length = int.from_bytes(content[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["hqnas"])
    return found


def named_tensors(architecture: Architecture, parameters: MemberParameters) -> dict[str, Tensor]:
    """Returns the parameters of one network under the names of its PennyLane source."""
    found: dict[str, Tensor] = {}
    start = 0
    for name, shape in _layers(architecture):
        size = shape[0] * (shape[1] if len(shape) == 2 else 1)
        found[name] = parameters.classical[start : start + size].view(shape)
        start += size
    return {**found, "weights": parameters.circuit}


def _gathered(architecture: Architecture, tensors: Mapping[str, Tensor], prefix: str) -> MemberParameters:
    parts = [torch.zeros(0, dtype=torch.float64)]
    for name, shape in (*_layers(architecture), ("weights", (architecture.circuit.n_weights,))):
        found = tensors.get(prefix + name)
        if found is None or tuple(found.shape) != shape:
            has = "is missing" if found is None else f"is {tuple(found.shape)}"
            raise UnreadableWeights(f"{prefix}{name} {has}, and the genome asks for {shape}")
        parts.append(found.flatten())
    return MemberParameters(torch.cat(parts[:-1]), parts[-1])


def _layers(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields name and shape of weight and bias of every linear layer, in the order in which parameters are kept."""
    sides: tuple[tuple[Literal["before", "after"], tuple[int, ...]], ...] = (
        ("before", architecture.pre_widths),
        ("after", architecture.post_widths),
    )
    for side, widths in sides:
        for number, (n_in, n_out) in enumerate(pairwise(widths)):
            yield f"{side}.{2 * number}.weight", (n_out, n_in)
            yield f"{side}.{2 * number}.bias", (n_out,)
