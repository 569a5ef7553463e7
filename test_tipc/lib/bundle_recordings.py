"""Outputs of a step's network or engine, from the recording of the observer (observe/), as bundle_rows.py writes them.

More keys: `network` and `kind`, what was called and how; `behind`, what the export computes behind the network
("softmax", "sigmoid", "argmax", "" for nothing, null where it is not known), so that a reader who applies it to the
rows of a network gets those of an engine.
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
        for key, outputs in zip(_keys(call), _split(call)):
            rows.add(key, outputs)
    seen = {key for call in network.calls for key in _keys(call)}
    content = rows.content()
    return {**content, "left_out": len(seen) - content["count"], "network": network.layer, "kind": calls[0].kind}


def _keys(call):
    """The hash of each image's inputs."""
    for row in range(call.images):
        yield key_of([tensor.hash if tensor.rows is None else tensor.rows[row] for tensor in call.inputs])


def _split(call):
    """The outputs of each image; None for one that cannot be cut along the batch."""
    arrays = call.arrays("out")
    for row in range(call.images):
        yield [
            array[row] if tensor.rows is not None else array if call.images == 1 else None
            for tensor, array in zip(call.outputs, arrays)
        ]
