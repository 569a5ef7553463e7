"""Which network of a recording is the one that was exported, and which of its inputs are the exported model's?

A detector's layer may get six tensors where the exported model takes two: inputs are found by name, else by type and
shape, in their order.
"""

from collections import Counter
from itertools import islice, permutations
from typing import NamedTuple

from agreement.params import Weight

_MOST_ORDERS = 24


class Fitting(NamedTuple):
    """A network whose calls the exported model can take; `orders` of each call are possible positions of the model's
    inputs among the call's, the likeliest first."""

    network: object
    calls: list
    orders: list
    known: int  # of the exported weights: those that the network has
    is_sized: bool = True  # whether the inputs have the sizes that the exported model states


def fit(recording, exported, kinds):
    """The `Fitting`s of a recording's networks, the likeliest first: that with the weights, then with more calls.

    Where no call has the sizes that the exported model states, those with inputs of the same types and numbers of
    sides: Paddle runs a model with images of another size, too.
    """
    found = []
    for network, calls in recording.candidates(kinds):
        known = len(exported.weights) - len(unknown_weights(exported.weights, network))
        for is_sized in (True, False):
            pairs = [(call, orders_of(call, exported.feeds, is_sized)) for call in calls]
            pairs = [(call, orders) for call, orders in pairs if orders]
            if pairs:
                found.append(Fitting(network, *map(list, zip(*pairs)), known, is_sized))
                break
    return sorted(found, key=lambda one: (not one.is_sized, -one.known, -len(one.calls)))


def unknown_weights(weights, network):
    """Those of the exported `weights` that are none of the network's."""
    return list((Counter(weights) - Counter(weights_of(network))).elements())


def weights_of(network):
    """The list of the `Weight`s of a recorded network."""
    return [Weight(one["shape"], one["dtype"], one["hash"]) for one in network.weights.values()]


def orders_of(call, feeds, is_sized=True):
    """Possible positions of `feeds` among the call's inputs, the likeliest first; [] where it does not fit."""
    named = {tensor.name: position for position, tensor in enumerate(call.inputs)}
    places = []
    for feed in feeds:
        position = named.get(feed.name)
        if position is None or not _takes(feed, call.inputs[position], call.batch, is_sized):
            position = None
        places.append(position)
    free = [position for position in range(len(call.inputs)) if position not in places]
    unnamed = [feed for feed, position in zip(feeds, places) if position is None]
    orders = []
    for choice in islice(permutations(free, len(unnamed)), 5000):
        if all(_takes(feed, call.inputs[position], call.batch, is_sized) for feed, position in zip(unnamed, choice)):
            rest = iter(choice)
            orders.append(tuple(next(rest) if position is None else position for position in places))
            if len(orders) == _MOST_ORDERS:
                break
    return orders


def _takes(feed, tensor, batch, is_sized):
    """Whether the model's input can be this tensor; the number of images may be another one."""
    if feed.dtype not in ("", tensor.dtype):
        return False
    if feed.shape is None:
        return True
    if len(feed.shape) != len(tensor.shape) or not is_sized:
        return len(feed.shape) == len(tensor.shape)
    sides = list(zip(feed.shape, tensor.shape))
    if batch is not None and tensor.shape and tensor.shape[0] == batch:
        sides = sides[1:]
    return all(expected in (-1, side) for expected, side in sides)


def key_of(call, order, row):
    """What only calls with the same inputs for an image share."""
    return tuple(call.inputs[position].key(row) for position in order)


def describe_inputs(recording, kinds):
    """What the networks of a recording got, in words: `AlexNet gets x float32 [1, 3, 224, 224]`."""
    words = []
    for network, calls in recording.candidates(kinds)[:3]:
        inputs = ", ".join(f"{one.name} {one.dtype} {list(one.shape)}" for one in calls[0].inputs[:4])
        words.append(f"{network.layer or 'an exported model'} gets {inputs}")
    return "; ".join(words)
