"""Outputs of a step's network or engine, from the recording of the observer (observe/), as bundle_rows.py writes them.

More keys: `network` and `kind`, what was called and how; `behind`, what the export computes behind the network
("softmax", "sigmoid", "argmax", "" for nothing, null where it is not known), so that a reader who applies it to the
rows of a network gets those of an engine; `same_image`, {hash: that of the same image in predict} where they differ.
"""

from bundle_rows import Rows, key_of


def read_step(folder):
    """The content of the file for the recording `folder`; None where nothing was recorded with its arrays.

    Raises UserError for a damaged recording, ImportError without NumPy.
    """
    if not any(folder.glob("*.npz")):
        return None
    from agreement.recording import Recording

    recording = Recording(folder)
    kept = [
        (network, [call for call in network.calls if call.file])
        for network in recording.networks.values()
        if any(call.file for call in network.calls)
    ]
    if not kept:
        return None
    # of several networks that of which most was recorded: those of which one is a part are not seen
    network, calls = max(kept, key=lambda pair: (sum(call.images for call in pair[1]), len(pair[0].weights)))
    rows = Rows([tensor.name for tensor in calls[0].outputs])
    for call in calls:
        for key, outputs in zip(keys_of(call), _split(call)):
            rows.add(key, outputs)
    seen = {key for call in network.calls for key in keys_of(call)}
    content = rows.content()
    return {**content, "left_out": len(seen) - content["count"], "network": network.layer, "kind": calls[0].kind}


def keys_of(call):
    """The hash of each image's inputs."""
    return [row_key(call, row) for row in range(call.images)]


def row_key(call, row):
    """The hash of the inputs of one image of a call."""
    return key_of([tensor.hash if tensor.rows is None else tensor.rows[row] for tensor in call.inputs])


def same_images(pairing):
    """{hash of infer: hash of predict} of the images that a `Pairing` knows as the same, though their hashes differ.

    Inputs may be equal up to rounding, or one of the two gets more of them than the other.
    """
    found = {}
    for key, place in pairing.predicted.places.items():
        other = pairing.inferred.places.get(pairing.partner(key))
        if other and (name := row_key(other.call, other.row)) != (own := row_key(place.call, place.row)):
            found[name] = own
    return found


def _split(call):
    """The outputs of each image; None for one that cannot be cut along the batch."""
    arrays = call.arrays("out")
    for row in range(call.images):
        yield [
            array[row] if tensor.rows is not None else array if call.images == 1 else None
            for tensor, array in zip(call.outputs, arrays)
        ]
