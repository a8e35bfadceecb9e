"""The layers of SB3's policies in NumPy, and the choice of actions: no torch, and within noise of it.

They use nothing but NumPy and each other: `sb3port export --to numpy` copies those that a policy needs into
the module that it writes. Weights are found by the names that SB3 gives them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from sb3port.checkpoint.checkpoint import Array
from sb3port.inference.numpy_activations import relu, tanh


class Linear:
    """`torch.nn.Linear`: `(n, inputs) -> (n, outputs)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str) -> None:
        # For one observation all shapes are the same, so that NumPy has nothing to broadcast: half the time.
        self.weight = np.ascontiguousarray(tensors[f"{name}.weight"].T)
        bias = tensors.get(f"{name}.bias")
        self.bias = np.zeros((1, self.weight.shape[1]), np.float32) if bias is None else bias[None]

    def __call__(self, rows: Array) -> Array:
        """Run the layer."""
        outputs = rows.dot(self.weight)
        outputs += self.bias
        return outputs


class Mlp:
    """Linear layers, an activation after each: `(n, inputs) -> (n, outputs)`."""

    def __init__(self, layers: Sequence[Linear], activation: Callable[[Array], Array]) -> None:
        self.layers = [(layer.weight, layer.bias) for layer in layers]
        self.activation = activation

    def __call__(self, rows: Array) -> Array:
        """Run all layers."""
        for weight, bias in self.layers:
            rows = rows.dot(weight)
            rows += bias
            rows = self.activation(rows)
        return rows


class Renorm:
    """CrossQ's `BatchRenorm` by running statistics: `(n, features) -> (n, features)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str, eps: float) -> None:
        self.mean, variance = tensors[f"{name}.ra_mean"], tensors[f"{name}.ra_var"]
        self.std = np.sqrt(variance + np.float32(eps))
        self.scale, self.bias = tensors[f"{name}.scale"], tensors[f"{name}.bias"]

    def __call__(self, rows: Array) -> Array:
        """Normalise, scale and shift."""
        return self.scale * ((rows - self.mean) / self.std) + self.bias


class NormedMlp:
    """Linear layers, a BatchRenorm before and an activation after each, and a last BatchRenorm."""

    def __init__(
        self, norms: Sequence[Renorm], layers: Sequence[Linear], activation: Callable[[Array], Array]
    ) -> None:
        self.norms, self.layers, self.activation = norms, layers, activation

    def __call__(self, rows: Array) -> Array:
        """Run all layers."""
        for norm, layer in zip(self.norms[:-1], self.layers, strict=True):
            rows = self.activation(layer(norm(rows)))
        return self.norms[-1](rows)


class Convolution:
    """`torch.nn.Conv2d` of images with their channels last: `(n, H, W, C) -> (n, h, w, filters)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str, stride: int) -> None:
        weight = tensors[f"{name}.weight"]  # (filters, C, size, size)
        self.size, self.stride = weight.shape[-1], stride
        self.weight = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))
        self.bias = tensors[f"{name}.bias"]

    def __call__(self, images: Array) -> Array:
        """Multiply what each window sees, side by side in one row, by the filters."""
        size, stride, (count, *lengths, channels) = self.size, self.stride, images.shape
        height, width = ((length - size) // stride + 1 for length in lengths)
        image, row, column, channel = images.strides
        strides = (image, stride * row, stride * column, row, column, channel)
        windows = as_strided(images, (count, height, width, size, size, channels), strides)
        outputs = windows.reshape(-1, len(self.weight)).dot(self.weight)
        outputs += self.bias
        return outputs.reshape(count, height, width, -1)


class NatureCnn:
    """SB3's `NatureCNN`, https://doi.org/10.1038/nature14236: `(n, C, H, W) -> (n, features)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str) -> None:
        strides = enumerate((4, 2, 1))
        self.convolutions = [Convolution(tensors, f"{name}.cnn.{2 * n}", stride) for n, stride in strides]
        self.linear = Linear(tensors, f"{name}.linear.0")

    def __call__(self, images: Array) -> Array:
        """Give the features of images."""
        rows = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        for convolve in self.convolutions:
            rows = relu(convolve(rows))
        return relu(self.linear(rows.transpose(0, 3, 1, 2).reshape(len(rows), -1)))


class Lstm:
    """One step of `torch.nn.LSTM`: `(n, inputs) -> (n, hidden)`; a state is `(layers, n, hidden)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str) -> None:
        count = sum(key.startswith(f"{name}.weight_ih_l") for key in tensors)
        self.hidden_size = tensors[f"{name}.weight_hh_l0"].shape[1]
        self.layers = [self._gates(tensors, name, layer) for layer in range(count)]

    def _gates(self, tensors: Mapping[str, Array], name: str, layer: int) -> tuple[Array, Array]:
        """Give the weights of all gates for input and hidden state side by side, and their bias.

        A sigmoid of x is `(1 + tanh(x / 2)) / 2`: with half of their weights, the gates that have one share
        the tanh of the one that has not, the third.
        """
        inputs, state, *biases = (
            tensors[f"{name}.{part}_l{layer}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        half = np.full(4 * self.hidden_size, 0.5, np.float32)
        half[2 * self.hidden_size : 3 * self.hidden_size] = 1
        weight = half[:, None] * np.concatenate([inputs, state], axis=1)
        return np.ascontiguousarray(weight.T), (half * (biases[0] + biases[1]))[None]

    def __call__(self, rows: Array, state: Sequence[Array]) -> tuple[Array, tuple[Array, Array]]:
        """Give the outputs for n rows, and the hidden and the cell state after them."""
        hidden, cell = (np.array(part, np.float32) for part in state)
        size = self.hidden_size
        for layer, (weight, bias) in enumerate(self.layers):
            gates = np.concatenate([rows, hidden[layer]], axis=1).dot(weight)
            gates += bias
            gates = np.tanh(gates, out=gates)
            new, (take, forget, _, give) = gates[:, 2 * size : 3 * size], np.split((1 + gates) / 2, 4, axis=1)
            cell[layer] = forget * cell[layer] + take * new
            rows = hidden[layer] = give * np.tanh(cell[layer])
        return rows, (hidden, cell)

    def begun(self, state: Sequence[Array] | None, starts: Array | None, count: int) -> Sequence[Array]:
        """Give a state of n rows, which is zero where there is none, and where an episode starts."""
        if state is None:
            zeros = np.zeros((len(self.layers), count, self.hidden_size), np.float32)
            return zeros, zeros
        if starts is None:
            return state
        keep = 1 - np.asarray(starts, np.float32).reshape(1, -1, 1)
        return keep * state[0], keep * state[1]


class RunningNorm:
    """Imitation's `NormalizeFeaturesExtractor`: `(n, features) -> (n, features)`."""

    def __init__(self, tensors: Mapping[str, Array], name: str) -> None:
        self.mean = tensors[f"{name}.normalize.running_mean"]
        self.std = np.sqrt(tensors[f"{name}.normalize.running_var"] + np.float32(1e-5))

    def __call__(self, rows: Array) -> Array:
        """Normalise by the statistics of the training."""
        return (rows - self.mean) / self.std


def flat(rows: Array) -> Array:
    """Flatten each of n rows."""
    return rows if rows.ndim == 2 else rows.reshape(len(rows), -1)


def floats(rows: Array) -> Array:
    """Give numbers as networks take them."""
    return rows.astype(np.float32, copy=False)


def pixels(rows: Array) -> Array:
    """Scale images to between 0 and 1."""
    scaled = rows.astype(np.float32)
    scaled /= 255
    return scaled


def likeliest(outputs: Array) -> Array:
    """Give the most likely choice of each row, `(n,)`."""
    return outputs.argmax(axis=1)


class LikeliestOfEach:
    """The most likely of several choices for each row: `(n, sum of sizes) -> (n, choices)`."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.ends = np.cumsum(sizes)[:-1]

    def __call__(self, outputs: Array) -> Array:
        """Choose."""
        return np.stack([part.argmax(axis=1) for part in np.split(outputs, self.ends, axis=1)], axis=1)


class BestOnAverage:
    """The choice whose quantiles are highest on average: `(n, quantiles * choices) -> (n,)`."""

    def __init__(self, sizes: Sequence[float]) -> None:
        self.quantiles = int(sizes[0])

    def __call__(self, outputs: Array) -> Array:
        """Choose."""
        return outputs.reshape(len(outputs), self.quantiles, -1).mean(axis=1).argmax(axis=1)


class TanhWithin:
    """tanh of numbers that are clipped before: `(n, A) -> (n, A)`."""

    def __init__(self, sizes: Sequence[float]) -> None:
        self.most = np.float32(sizes[0])

    def __call__(self, outputs: Array) -> Array:
        """Clip and squash."""
        return tanh(np.clip(outputs, -self.most, self.most))


def bits(outputs: Array) -> Array:
    """Give 1 for what is more likely than not, and 0 for the others."""
    return (outputs > 0).astype(np.float32)


def allowed(outputs: Array, masks: Array) -> Array:
    """Leave the choices that a mask allows."""
    return np.where(masks, outputs, np.float32(-1e8))
