"""Networks that learn from each other on the same images: PaddleClas's DistillationModel.

A frozen network (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015: the teacher is given, only the
student learns) is fixed altogether here: its parameters get no gradient, and it computes as in evaluation, so that its
BatchNorm keeps the statistics that it was trained with and its dropout is off. PaddleClas fixes the parameters only.
"""

from paddle import nn

from ppcls_lite.arch.registry import build_model
from ppcls_lite.utils.distilled import deployed_name, members
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import set_weights


class DistillationModel(nn.Layer):
    """Images [N, 3, H, W] to {name: logits [N, class_num]}, with the outputs of all networks.

    Args:
        networks: {name: layer}. The entries of the state dict are `name.` and the network's own.
        frozen: names of those that stay as they are.
        infer_model_name: the name of the network for use: `deployed` is this network itself.
    """

    def __init__(self, networks, frozen, infer_model_name):
        super().__init__()
        self.names, self.infer_model_name = list(networks), infer_model_name
        for name, network in networks.items():
            self.add_sublayer(name, network)
        self.frozen_names = list(frozen)
        for network in self.frozen():
            for parameter in network.parameters():
                parameter.stop_gradient = True

    @property
    def deployed(self):
        """The one network that is evaluated and exported."""
        return self._sub_layers[self.infer_model_name]

    def frozen(self):
        """The networks that stay as they are."""
        return [self._sub_layers[name] for name in self.frozen_names]

    def forward(self, images):
        # here and not in train(), which a wrapper such as DataParallel does not call: it sets the flags of all layers
        for network in self.frozen():
            for layer in network.sublayers(include_self=True):
                layer.training = False
        return {name: self._sub_layers[name](images) for name in self.names}


def build_distillation(arch):
    """The DistillationModel of a config's `Arch` section, with the weights that it names for each network.

    Raises UserError as `build_model` does, with the place of the network in front.
    """
    networks = {}
    for member in members(arch):
        try:
            networks[member.name] = build_model(**member.options)
        except UserError as error:
            raise UserError(f"{member.where}: {str(error).removeprefix('Arch: ')}") from None
    return DistillationModel(networks, [member.name for member in members(arch) if member.frozen], deployed_name(arch))


def is_of_one_network(arrays, names):
    """Are these weights, {entry: array}, those of one network, not of all of `names` together?"""
    prefixes = tuple(f"{name}." for name in names)
    return not any(entry.startswith(prefixes) for entry in arrays)


def entries_of(arrays, names, chosen):
    """Of the weights of all `names`, the entries of `chosen` under its own names; those of one network as they are."""
    if is_of_one_network(arrays, names):
        return arrays
    prefix = f"{chosen}."
    return {entry[len(prefix) :]: array for entry, array in arrays.items() if entry.startswith(prefix)}


def set_pretrained(model, arrays, source):
    """Put the weights `arrays` into `model`; a DistillationModel takes those of all its networks, or the student's.

    Returns the names of the networks of a DistillationModel that got theirs.
    """
    names = getattr(model, "names", [])
    if isinstance(model, DistillationModel) and is_of_one_network(arrays, names):
        model, names = model.deployed, [model.infer_model_name]
    set_weights(model, arrays, source)
    return names
