"""The fast engine's arithmetic for Numba: whole epochs in one call, for layers of any number and width.

Numba keeps compiled code by the file it is in and does not see changes elsewhere, so all kernels are in this
one, and import nothing of ours. Arrays are flat float32, and hold what `layout.Layout` says; a row of a table
describes a layer. Products go by vectors of `LANES` numbers, which LLVM makes of whatever the processor has.
NaN is kept: no kernel may assume that there is none.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8
# Columns of a table of layers: all but the last are numbers of elements.
INPUTS, OUTPUTS, WIDTH, WEIGHT, BIAS, COLUMN, HIDDEN, BELOW = range(8)
GAUSSIAN, STATE_DEPENDENT, CATEGORICAL, BERNOULLI = range(4)
TANH, PIECEWISE, EXPONENTIAL, SIGMOID, SILU = range(5)
# Indices of an update's numbers and flags.
(RATE, CLIP, CLIP_VALUES, ENTROPY, VALUES, LONGEST, BETA1, BETA2, EPSILON, TARGET_KL) = range(10)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_VARIANCE = 1e-6  # of gSDE, so that none is 0
_FORBIDDEN = -1e8  # sb3-contrib's logit
_SAFE: Any = {"contract", "reassoc", "nsz"}

_kernel: Any = njit(cache=True, nogil=True, error_model="numpy")
_reordering: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath=_SAFE)


class _Lanes(types.Type):  # type: ignore[misc]
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


_lanes = _Lanes()
_vector = ir.VectorType(ir.FloatType(), LANES)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _vector)


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Give the address of an element as that of a vector."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.bitcast(builder.gep(data, [arguments[1]]), _vector.as_pointer())


@intrinsic
def _load(_: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(_pointer(context, builder, signature, arguments))
        found.align = 4
        return found

    return _lanes(array, types.intp), generate


@intrinsic
def _store(_: Any, array: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = builder.store(arguments[2], _pointer(context, builder, signature, arguments))
        stored.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


@intrinsic
def _spread(_: Any, number: Any) -> Any:
    """A vector that is one number everywhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _broadcast(builder, arguments[0])

    return _lanes(types.float32), generate


@intrinsic
def _add_product(_: Any, total: Any, array: Any, index: Any, vector: Any) -> Any:
    """`total + array[index] * vector`, rounded once where the processor can."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sum_, values, index, vector = arguments
        data = context.make_array(signature.args[1])(context, builder, values).data
        number = builder.load(builder.gep(data, [index]))
        product = builder.fmul(_broadcast(builder, number), vector, flags=("contract",))
        return builder.fadd(sum_, product, flags=("contract",))

    return _lanes(_lanes, array, types.intp, _lanes), generate


def _broadcast(builder: Any, number: Any) -> Any:
    empty = ir.Constant(_vector, ir.Undefined)
    first = builder.insert_element(empty, number, cgutils.int32_t(0))
    everywhere = ir.Constant(ir.VectorType(cgutils.int32_t, LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, everywhere)


@_kernel
def _multiply(a, a_at, a_row, a_column, b, b_at, b_row, c, c_at, c_row, rows, depth, width, s, s_at, s_row):
    """`C = S + A B` for A `(rows, depth)`, B `(depth, width)`; S is left out where `s_at` is negative.

    Each begins at an index of its array; its rows are so far apart, and so are A's columns.
    """
    zero = _spread(np.float32(0.0))
    column = 0
    while column < width:
        two = column + 2 * LANES <= width
        row = 0
        while row < rows:
            i, j = a_at + row * a_row, b_at + column
            k, t = c_at + row * c_row + column, s_at + row * s_row + column
            if row + 4 <= rows and two:
                p0 = p1 = q0 = q1 = r0 = r1 = u0 = u1 = zero
                if s_at >= 0:
                    p0, p1 = _load(s, t), _load(s, t + LANES)
                    q0, q1 = _load(s, t + s_row), _load(s, t + s_row + LANES)
                    r0, r1 = _load(s, t + 2 * s_row), _load(s, t + 2 * s_row + LANES)
                    u0, u1 = _load(s, t + 3 * s_row), _load(s, t + 3 * s_row + LANES)
                for _ in range(depth):
                    b0, b1 = _load(b, j), _load(b, j + LANES)
                    p0, p1 = _add_product(p0, a, i, b0), _add_product(p1, a, i, b1)
                    q0, q1 = _add_product(q0, a, i + a_row, b0), _add_product(q1, a, i + a_row, b1)
                    r0, r1 = _add_product(r0, a, i + 2 * a_row, b0), _add_product(r1, a, i + 2 * a_row, b1)
                    u0, u1 = _add_product(u0, a, i + 3 * a_row, b0), _add_product(u1, a, i + 3 * a_row, b1)
                    i, j = i + a_column, j + b_row
                _store(c, k, p0), _store(c, k + LANES, p1)
                _store(c, k + c_row, q0), _store(c, k + c_row + LANES, q1)
                _store(c, k + 2 * c_row, r0), _store(c, k + 2 * c_row + LANES, r1)
                _store(c, k + 3 * c_row, u0), _store(c, k + 3 * c_row + LANES, u1)
                row += 4
            elif row + 8 <= rows and not two:
                p0 = p1 = q0 = q1 = r0 = r1 = u0 = u1 = zero
                if s_at >= 0:
                    p0, p1 = _load(s, t), _load(s, t + s_row)
                    q0, q1 = _load(s, t + 2 * s_row), _load(s, t + 3 * s_row)
                    r0, r1 = _load(s, t + 4 * s_row), _load(s, t + 5 * s_row)
                    u0, u1 = _load(s, t + 6 * s_row), _load(s, t + 7 * s_row)
                for _ in range(depth):
                    b0 = _load(b, j)
                    p0, p1 = _add_product(p0, a, i, b0), _add_product(p1, a, i + a_row, b0)
                    q0, q1 = _add_product(q0, a, i + 2 * a_row, b0), _add_product(q1, a, i + 3 * a_row, b0)
                    r0, r1 = _add_product(r0, a, i + 4 * a_row, b0), _add_product(r1, a, i + 5 * a_row, b0)
                    u0, u1 = _add_product(u0, a, i + 6 * a_row, b0), _add_product(u1, a, i + 7 * a_row, b0)
                    i, j = i + a_column, j + b_row
                _store(c, k, p0), _store(c, k + c_row, p1)
                _store(c, k + 2 * c_row, q0), _store(c, k + 3 * c_row, q1)
                _store(c, k + 4 * c_row, r0), _store(c, k + 5 * c_row, r1)
                _store(c, k + 6 * c_row, u0), _store(c, k + 7 * c_row, u1)
                row += 8
            elif two:
                p0 = p1 = zero
                if s_at >= 0:
                    p0, p1 = _load(s, t), _load(s, t + LANES)
                for _ in range(depth):
                    p0, p1 = _add_product(p0, a, i, _load(b, j)), _add_product(p1, a, i, _load(b, j + LANES))
                    i, j = i + a_column, j + b_row
                _store(c, k, p0), _store(c, k + LANES, p1)
                row += 1
            else:
                p0 = zero
                if s_at >= 0:
                    p0 = _load(s, t)
                for _ in range(depth):
                    p0 = _add_product(p0, a, i, _load(b, j))
                    i, j = i + a_column, j + b_row
                _store(c, k, p0)
                row += 1
        column += 2 * LANES if two else LANES


@_reordering
def _activate(kind, p, q, r, values, slopes):
    """Replace numbers by what an activation makes of them, and write its slopes.

    Tanh is the quotient of polynomials that Eigen has, exact to a few units in the last place.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    if kind == TANH:
        top = np.float32(7.90531110763549805)
        for i in range(len(values)):
            x = values[i]
            x = top if x > top else x
            x = -top if x < -top else x
            x2 = x * x
            n = np.float32(-2.76076847742355e-16) * x2 + np.float32(2.00018790482477e-13)
            n = n * x2 + np.float32(-8.60467152213735e-11)
            n = n * x2 + np.float32(5.12229709037114e-08)
            n = n * x2 + np.float32(1.48572235717979e-05)
            n = n * x2 + np.float32(6.37261928875436e-04)
            n = (n * x2 + np.float32(4.89352455891786e-03)) * x
            d = np.float32(1.19825839466702e-06) * x2 + np.float32(1.18534705686654e-04)
            d = d * x2 + np.float32(2.26843463243900e-03)
            y = n / (d * x2 + np.float32(4.89352518554385e-03))
            values[i] = y
            slopes[i] = one - y * y
    elif kind == PIECEWISE:
        for i in range(len(values)):
            slope = one if values[i] > zero else p
            slopes[i] = slope
            values[i] *= slope
    elif kind == EXPONENTIAL:  # p (x if x > 0 else q (exp(r x) - 1))
        for i in range(len(values)):
            x = values[i]
            e = np.float32(math.expm1(r * x)) if x <= zero else zero
            values[i] = p * x if x > zero else p * q * e
            slopes[i] = p if x > zero else p * q * r * (e + one)
    else:
        for i in range(len(values)):
            x = values[i]
            y = one / (one + np.float32(math.exp(-x)))
            values[i] = y if kind == SIGMOID else x * y
            slopes[i] = y * (one - y) if kind == SIGMOID else y + x * y * (one - y)


@_kernel
def _forward(layers, first, last, activation, weights, x, outputs, slopes, count, room):
    """Compute the outputs of some layers, each `(count, width)`, where there is room for `room` rows."""
    kind, p, q, r = activation
    for number in range(first, last):
        layer = layers[number]
        source, at, row = _input(layers, number, x, outputs, room)
        to, width = layer[COLUMN] * room, layer[WIDTH]
        _multiply(
            source, at, row, 1, weights, layer[WEIGHT], width, outputs, to, width,
            count, layer[INPUTS], width, weights, layer[BIAS], 0,
        )  # fmt: skip
        if layer[HIDDEN]:
            end = to + count * width
            _activate(kind, p, q, r, outputs[to:end], slopes[to:end])


@_kernel
def _input(layers, number, x, outputs, room):
    """Give what a layer reads: the array, where it begins in it, and how far apart its rows are."""
    below = layers[number, BELOW]
    if below < 0:
        return x, 0, layers[number, INPUTS]
    return outputs, layers[below, COLUMN] * room, layers[below, WIDTH]


@_reordering
def _through_activation(deltas, slopes, is_hidden, bias):
    """Take gradients of outputs, `(count, width)`, flat, back through an activation; write the bias's."""
    width = len(bias)
    bias[:] = np.float32(0.0)
    for begin in range(0, len(deltas), width):
        delta, slope = deltas[begin : begin + width], slopes[begin : begin + width]
        if is_hidden:
            for j in range(width):
                delta[j] *= slope[j]
        for j in range(width):
            bias[j] += delta[j]


@_reordering
def _backward(
    layers, first, last, weights, gradient, transposed, x, outputs, slopes, deltas, count, room, adds
):
    """Write the gradients of some layers, given those of the last one's outputs in `deltas`.

    The gradient of what the first of them reads is written to `deltas`, or added to where `adds`.
    """
    for number in range(last - 1, first - 1, -1):
        layer = layers[number]
        inputs, width, weight, below = layer[INPUTS], layer[WIDTH], layer[WEIGHT], layer[BELOW]
        here = layer[COLUMN] * room
        bias = gradient[layer[BIAS] : layer[BIAS] + width]
        _through_activation(deltas[here : here + count * width], slopes[here:], layer[HIDDEN], bias)
        source, at, row = _input(layers, number, x, outputs, room)
        _multiply(
            source,
            at,
            1,
            row,
            deltas,
            here,
            width,
            gradient,
            weight,
            width,
            inputs,
            count,
            width,
            gradient,
            -1,
            0,
        )
        if below < 0:
            continue
        there, across = layers[below, COLUMN] * room, layers[below, WIDTH]
        straight = weights[weight : weight + inputs * width].reshape(inputs, width)
        across_it = transposed[: layer[OUTPUTS] * across].reshape(layer[OUTPUTS], across)
        for i in range(layer[OUTPUTS]):
            for j in range(inputs):
                across_it[i, j] = straight[j, i]
            for j in range(inputs, across):
                across_it[i, j] = np.float32(0.0)
        start = there if adds and number == first else -1
        _multiply(
            deltas, here, width, 1, transposed, 0, across, deltas, there, across, count, layer[OUTPUTS],
            across, deltas, start, across,
        )  # fmt: skip


@_reordering
def _variance(latents, at, stds, hidden, a):
    """Give gSDE's variance of one element of an action."""
    total = np.float64(_VARIANCE)
    row = latents[at : at + hidden]
    for h in range(len(row)):
        part = np.float64(row[h]) * stds[a, h]
        total += part * part
    return total


@_kernel
def _choice(logits, at, size, masks, i, mask_at, kept):
    """Write the probabilities of a choice, then the logarithm of their divisor, and the entropy."""
    masked = masks.shape[0] > 0
    top = -math.inf
    for j in range(size):
        if not masked or masks[i, mask_at + j]:
            top = max(top, np.float64(logits[at + j]))
    if masked and top == -math.inf:  # nothing is allowed: sb3-contrib takes all alike
        kept[:size], kept[size], kept[size + 1] = 1.0 / size, math.nan, math.log(np.float64(size))
        return
    total = 0.0
    for j in range(size):
        z, allowed = np.float64(logits[at + j]), not masked or masks[i, mask_at + j]
        kept[j] = (1.0 if z == top else math.exp(z - top)) if allowed else 0.0
        total += kept[j]
    normaliser, share, entropy = top + math.log(total), 1.0 / total, 0.0
    for j in range(size):
        kept[j] *= share
        if kept[j] != 0.0:
            entropy -= kept[j] * (np.float64(logits[at + j]) - normaliser)
    kept[size], kept[size + 1] = normaliser, entropy


@_kernel
def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@_kernel
def _chance(x):
    return 1.0 / (1.0 + math.exp(-x))


@_kernel
def act(net, arrays, scratch, head, x, noise, matrices, masks, actions, values, log_probs):
    """Draw actions `(n, A)` of observations, flat, and give values and log-likelihoods, each `(n,)`.

    `noise` is `(n, A)`, standard normal for Gaussians, uniform for choices; gSDE has `matrices` `(n, A, H)`.
    """
    layers, ends, activation = net
    outputs, slopes = scratch[0], scratch[1]
    count, room = len(values), len(outputs) // ends[3]
    _forward(layers, 0, ends[2], activation, arrays[0], x, outputs, slopes, count, room)
    at, row = layers[ends[1] - 1, COLUMN] * room, layers[ends[1] - 1, WIDTH]
    value_at, value_row = layers[ends[2] - 1, COLUMN] * room, layers[ends[2] - 1, WIDTH]
    latents, latent_at, latent_row = _input(layers, ends[1] - 1, x, outputs, room)
    hidden = layers[ends[1] - 1, INPUTS]
    kind, sizes, stds, chances, _ = head
    for i in range(count):
        values[i] = outputs[value_at + i * value_row]
        latent, mask_at, log_prob = latent_at + i * latent_row, 0, 0.0
        for a in range(actions.shape[1]):
            z = np.float64(outputs[at + i * row + a])
            if kind == GAUSSIAN:
                actions[i, a] = np.float32(z + stds[0, a] * noise[i, a])
                log_prob -= 0.5 * noise[i, a] * noise[i, a] + math.log(stds[0, a]) + _HALF_LOG_2PI
            elif kind == STATE_DEPENDENT:
                variance, moved = _variance(latents, latent, stds, hidden, a), 0.0
                for h in range(hidden):
                    moved += np.float64(latents[latent + h]) * matrices[i, a, h]
                actions[i, a] = np.float32(z + moved)
                log_prob -= 0.5 * (moved * moved / variance + math.log(variance)) + _HALF_LOG_2PI
            elif kind == BERNOULLI:
                actions[i, a] = np.float32(1.0 if noise[i, a] < _chance(z) else 0.0)
                log_prob += z * np.float64(actions[i, a]) - _softplus(z)
            else:
                _choice(outputs, at + i * row + mask_at, sizes[a], masks, i, mask_at, chances[0])
                chosen = _drawn(chances[0], sizes[a], noise[i, a])
                actions[i, a] = np.float32(chosen)
                log_prob += math.log(chances[0, chosen])
                mask_at += sizes[a]
        log_probs[i] = np.float32(log_prob)


@_kernel
def _drawn(chances, size, uniform):
    """Give the choice that a uniform number draws; what has no probability is never drawn."""
    chosen, below = size - 1, 0.0
    for j in range(size):
        below += chances[j]
        if uniform < below:
            chosen = j
            break
    while chosen > 0 and chances[chosen] == 0.0:  # rounding may leave the sum below 1
        chosen -= 1
    return chosen


@_kernel
def estimate(net, arrays, scratch, x, values):
    """Give the values of observations, flat, `(n,)`."""
    layers, ends, activation = net
    outputs, slopes = scratch[0], scratch[1]
    room = len(outputs) // ends[3]
    count = len(values)
    _forward(layers, 0, ends[0], activation, arrays[0], x, outputs, slopes, count, room)
    _forward(layers, ends[1], ends[2], activation, arrays[0], x, outputs, slopes, count, room)
    at, row = layers[ends[2] - 1, COLUMN] * room, layers[ends[2] - 1, WIDTH]
    for i in range(count):
        values[i] = outputs[at + i * row]


@_kernel
def _gather(features, chosen, rows, x):
    for i in range(len(chosen)):
        at = chosen[i] * features
        for j in range(features):
            x[i * features + j] = rows[at + j]


@_kernel
def _scaling(advantages, chosen, normalises):
    """Give what is subtracted of advantages, and by what they are divided then."""
    count = len(chosen)
    if not normalises or count < 2:
        return 0.0, 1.0
    mean = 0.0
    for i in range(count):
        mean += advantages[chosen[i]]
    mean /= count
    squares = 0.0
    for i in range(count):
        squares += (advantages[chosen[i]] - mean) ** 2
    return mean, math.sqrt(squares / (count - 1)) + 1e-8


@_kernel
def _judge(head, actions, masks, chosen, outputs, at, row, latents, latent_at, latent_row, hidden, judged):
    """Write log-likelihoods and entropies of transitions, in nats, to the two rows of `judged`."""
    kind, sizes, stds, chances, _ = head
    log_probs, entropies = judged
    count, elements = len(chosen), actions.shape[1]
    certainty = elements * _HALF_LOG_2PI  # of Gaussians without a state
    for a in range(elements if kind == GAUSSIAN else 0):
        certainty += math.log(stds[0, a])
    for i in range(count):
        number, begin, log_prob, entropy, mask_at = chosen[i], at + i * row, 0.0, 0.0, 0
        if kind == GAUSSIAN:
            for a in range(elements):
                distance = (np.float64(actions[number, a]) - np.float64(outputs[begin + a])) / stds[0, a]
                log_prob -= 0.5 * distance * distance
            log_prob, entropy = log_prob - certainty, 0.5 * elements + certainty
        elif kind == STATE_DEPENDENT:
            for a in range(elements):
                variance = _variance(latents, latent_at + i * latent_row, stds, hidden, a)
                distance = np.float64(actions[number, a]) - np.float64(outputs[begin + a])
                logarithm = 0.5 * math.log(variance) + _HALF_LOG_2PI
                log_prob -= 0.5 * distance * distance / variance + logarithm
                entropy += 0.5 + logarithm
        elif kind == BERNOULLI:
            for a in range(elements):
                z = np.float64(outputs[begin + a])
                log_prob += z * np.float64(actions[number, a]) - _softplus(z)
                entropy += _softplus(z) - z * _chance(z)
        else:
            for a in range(elements):
                size, taken, kept = sizes[a], int(actions[number, a]), chances[i, mask_at + 2 * a :]
                _choice(outputs, begin + mask_at, size, masks, number, mask_at, kept)
                if masks.shape[0] == 0 or masks[number, mask_at + taken]:
                    log_prob += np.float64(outputs[begin + mask_at + taken]) - kept[size]
                else:
                    log_prob += math.log(kept[taken]) if kept[taken] > 0.0 else _FORBIDDEN
                entropy += kept[size + 1]
                mask_at += size
        log_probs[i], entropies[i] = log_prob, entropy


@_kernel
def _differentiate(
    head, actions, masks, chosen, outputs, at, row, latents, latent_at, latent_row, hidden, judged, deltas
):
    """Write gradients of outputs, and add those of the deviations, given those of what `_judge` wrote."""
    kind, sizes, stds, chances, (_, of_stds, _) = head
    by_log_prob, by_entropy = judged
    for i in range(len(chosen)):
        number, begin, mask_at = chosen[i], at + i * row, 0
        of_log_prob, of_entropy, latent = by_log_prob[i], by_entropy[i], latent_at + i * latent_row
        for a in range(actions.shape[1]):
            z, action = np.float64(outputs[begin + a]), np.float64(actions[number, a])
            if kind == GAUSSIAN:
                distance = (action - z) / stds[0, a]
                deltas[begin + a] = np.float32(of_log_prob * distance / stds[0, a])
                of_stds[0, a] += of_log_prob * (distance * distance - 1.0) + of_entropy
            elif kind == STATE_DEPENDENT:
                variance, distance = _variance(latents, latent, stds, hidden, a), action - z
                deltas[begin + a] = np.float32(of_log_prob * distance / variance)
                down = of_log_prob * (distance * distance / variance - 1.0) + of_entropy
                _add_squares(of_stds[a], latents[latent : latent + hidden], down * 0.5 / variance)
            elif kind == BERNOULLI:
                chance = _chance(z)
                down = of_log_prob * (action - chance) - of_entropy * z * chance * (1.0 - chance)
                deltas[begin + a] = np.float32(down)
            else:
                size, taken, kept = sizes[a], int(action), chances[i, mask_at + 2 * a :]
                for j in range(size):
                    down = of_log_prob * ((1.0 if j == taken else 0.0) - kept[j])
                    surprise = np.float64(outputs[begin + mask_at + j]) - kept[size] + kept[size + 1]
                    down -= of_entropy * kept[j] * surprise
                    allowed = masks.shape[0] == 0 or masks[number, mask_at + j]
                    deltas[begin + mask_at + j] = np.float32(down if allowed else 0.0)
                mask_at += size


@_reordering
def _add_squares(totals, latents, weight):
    for h in range(len(latents)):
        latent = np.float64(latents[h])
        totals[h] += weight * latent * latent


@_kernel
def _weigh(rollout, chosen, values, value_row, numbers, flags, judged, found, deltas):
    """Replace what `_judge` wrote by the loss's gradients, and write those of values.

    `values` and `deltas` begin at the value of the first transition; they are `value_row` apart. What SB3
    logs is added to `found`.
    """
    _, _, _, old_values, old_log_probs, advantages, returns = rollout
    log_probs, entropies = judged
    normalises, estimates = flags
    clip, limit, count = numbers[CLIP], numbers[CLIP_VALUES], len(chosen)
    mean, spread = _scaling(advantages, chosen, normalises)
    share, by_entropy = 1.0 / count, -numbers[ENTROPY] / count
    gained = errors = unsure = outside = divergence = 0.0
    for i in range(count):
        number = chosen[i]
        log_ratio = log_probs[i] - np.float64(old_log_probs[number])
        advantage, ratio, by_log_prob = (
            (np.float64(advantages[number]) - mean) / spread,
            math.exp(log_ratio),
            0.0,
        )
        gain, clipped = advantage * ratio, advantage * min(max(ratio, 1.0 - clip), 1.0 + clip)
        outside += 1.0 if abs(ratio - 1.0) > clip else 0.0
        divergence += ratio - 1.0 - log_ratio
        if gain > clipped:
            gained += clipped
        else:  # also where it is NaN
            gained += gain
            by_log_prob = -gain * share
        if estimates:
            unsure -= log_probs[i]
            log_probs[i], entropies[i] = by_log_prob - by_entropy, 0.0
        else:
            unsure += entropies[i]
            log_probs[i], entropies[i] = by_log_prob, by_entropy
        value, old, inside = np.float64(values[i * value_row]), np.float64(old_values[number]), 1.0
        if limit >= 0.0 and not abs(value - old) <= limit:
            value, inside = old + min(max(value - old, -limit), limit), 0.0
        error = value - np.float64(returns[number])
        errors += error * error
        deltas[i * value_row] = np.float32(numbers[VALUES] * 2.0 * error * inside * share)
    found[0] -= gained * share
    found[1] += errors * share
    found[2] += unsure * share
    found[3] += outside * share
    found[4] += divergence * share


@_kernel
def compute_gradient(net, arrays, scratch, head, rollout, chosen, numbers, flags, found):
    """Write the gradient of the loss of some transitions; add what SB3 logs of them to `found`.

    `found` is surrogate, value loss, entropy, share outside of the clip range, and divergence.
    """
    layers, ends, activation = net
    weights, gradient, transposed = arrays[0], arrays[1], arrays[4]
    outputs, slopes, deltas, x, judged = scratch
    rows, actions, masks = rollout[0], rollout[1], rollout[2]
    count, room = len(chosen), len(outputs) // ends[3]
    _gather(layers[0, INPUTS], chosen, rows, x)
    _forward(layers, 0, ends[2], activation, weights, x, outputs, slopes, count, room)
    at, row = layers[ends[1] - 1, COLUMN] * room, layers[ends[1] - 1, WIDTH]
    value_at, value_row = layers[ends[2] - 1, COLUMN] * room, layers[ends[2] - 1, WIDTH]
    latents, latent_at, latent_row = _input(layers, ends[1] - 1, x, outputs, room)
    hidden = layers[ends[1] - 1, INPUTS]
    head[4][1][:] = 0.0
    _judge(head, actions, masks, chosen, outputs, at, row, latents, latent_at, latent_row, hidden, judged)
    _weigh(
        rollout, chosen, outputs[value_at:], value_row, numbers, flags, judged, found, deltas[value_at:]
    )  # fmt: skip
    _differentiate(
        head, actions, masks, chosen, outputs, at, row, latents, latent_at, latent_row, hidden, judged, deltas
    )
    if head[4][0] >= 0:
        _through_stds(head, gradient)
    for first, last, adds in ((ends[0], ends[1], False), (ends[1], ends[2], True), (0, ends[0], False)):
        _backward(
            layers, first, last, weights, gradient, transposed, x, outputs, slopes, deltas, count, room, adds
        )


@_kernel
def _through_stds(head, gradient):
    """Write the gradient of `log_std`: of Gaussians it is there, of gSDE by the squares of the deviations."""
    kind, _, stds, _, (at, of_stds, slopes) = head
    rows, columns = slopes.shape  # (1, A), (A, H), or (1, H) where all elements of an action share them
    gradient[at : at + rows * columns] = np.float32(0.0)
    for i in range(stds.shape[0]):
        row = min(i, rows - 1)
        for j in range(columns):
            through = 2.0 * stds[i, j] * slopes[row, j] if kind == STATE_DEPENDENT else 1.0
            gradient[at + row * columns + j] += np.float32(of_stds[i, j] * through)


@_reordering
def descend(arrays, numbers, steps):
    """Cut the gradient to a length, and take a step of Adam, the `steps`-th."""
    weights, gradient, mean, square = arrays[0], arrays[1], arrays[2], arrays[3]
    total = 0.0
    for i in range(len(gradient)):
        total += np.float64(gradient[i]) * np.float64(gradient[i])
    coefficient = numbers[LONGEST] / (math.sqrt(total) + 1e-6)
    shrink = np.float32(coefficient if coefficient < 1.0 else 1.0)
    if total != total:
        shrink = np.float32(math.nan)
    beta1, beta2 = np.float32(numbers[BETA1]), np.float32(numbers[BETA2])
    rest1, rest2 = np.float32(1.0 - numbers[BETA1]), np.float32(1.0 - numbers[BETA2])
    rate = np.float32(numbers[RATE] / (1.0 - numbers[BETA1] ** steps))
    correction = np.float32(1.0 / math.sqrt(1.0 - numbers[BETA2] ** steps))
    epsilon = np.float32(numbers[EPSILON])
    for i in range(len(weights)):
        g = gradient[i] * shrink
        m = beta1 * mean[i] + rest1 * g
        v = beta2 * square[i] + rest2 * g * g
        mean[i], square[i] = m, v
        weights[i] -= rate * m / (np.sqrt(v) * correction + epsilon)


@_kernel
def refresh(head, weights, expln):
    """Compute gSDE's or the Gaussians' standard deviations, and their slopes by `log_std`, anew."""
    stds, (at, _, slopes) = head[2], head[4]
    rows, columns = slopes.shape
    for i in range(stds.shape[0]):
        for j in range(columns):
            row = min(i, rows - 1)
            x = np.float64(weights[at + row * columns + j])
            if expln and x > 0.0:
                stds[i, j] = math.log1p(x + 1e-6) + 1.0
                slopes[row, j] = 1.0 / (1.0 + x + 1e-6)
            else:
                stds[i, j] = math.exp(x)
                slopes[row, j] = stds[i, j]


@_kernel
def learn_epoch(net, arrays, scratch, head, rollout, order, batch_size, numbers, flags, steps, expln, found):
    """Go through transitions in an order, a step of Adam for each minibatch.

    Returns:
        How many minibatches were begun, whether the last of them diverged, so that no step followed it, and
        Adam's steps. `found` has the sums over minibatches, and in its last place the last divergence.
    """
    size, begun = len(order), 0
    for begin in range(0, size, batch_size):
        chosen = order[begin : min(begin + batch_size, size)]
        if head[4][0] >= 0:
            refresh(head, arrays[0], expln)
        before = found[4]
        compute_gradient(net, arrays, scratch, head, rollout, chosen, numbers, flags, found)
        begun += 1
        found[5] = found[4] - before
        if numbers[TARGET_KL] > 0.0 and found[5] > 1.5 * numbers[TARGET_KL]:
            return begun, True, steps
        steps += 1
        descend(arrays, numbers, steps)
    return begun, False, steps
