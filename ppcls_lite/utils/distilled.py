"""The `Arch` section of a knowledge distillation: several networks by name, of which one is for use afterwards.

    Arch:
      name: DistillationModel
      freeze_params_list: [True, False]
      models:
        - Teacher: {name: ResNet50_vd, pretrained: True}
        - Student: {name: MobileNetV3_small_x1_0}
      infer_model_name: Student

The keys are PaddleClas's. `class_num` of a network is that of `Arch` where it has none of its own.
"""

from typing import Any, NamedTuple

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.recognition import is_recognition

NAME = "DistillationModel"
_KEYS = ("name", "class_num", "pretrained_list", "freeze_params_list", "models", "infer_model_name", "use_sync_bn")


class Member(NamedTuple):
    """One of the networks."""

    name: str  # such as Student
    options: dict  # those of `build_model`
    frozen: bool
    where: str  # its place in the config


def without_unset(options):
    """A network's options as PaddleClas's configs write them, where null means "as the network has it".

    But not for the activation of a stem: a stem without one is a network of its own.
    """
    return {key: value for key, value in options.items() if value is not None or key == "stem_act"}


def is_distillation(arch):
    """Does this `Arch` section describe several networks?"""
    return arch.get("name") == NAME


def members(arch):
    """The `Member`s of a DistillationModel's section, in their order; UserError for whatever is wrong with it."""
    for key in arch:
        if key not in _KEYS:
            raise UserError(f"Arch.{key}: no such option of {NAME}{nearest(key, _KEYS)}; known: {', '.join(_KEYS)}")
    models = arch.get("models")
    if not isinstance(models, list) or not models:
        raise UserError(f"Arch.models: expected a list such as '- Student: {{name: ResNet18}}', found {models!r:.80}")
    frozen = _list_of(arch, "freeze_params_list", len(models), (bool,), "True or False")
    weights = _list_of(arch, "pretrained_list", len(models), (bool, str), "a path, True, False or null")
    found = []
    for index, entry in enumerate(models):
        member = _member(entry, index, arch.get("class_num"))
        if weights[index] is not None:
            member.options["pretrained"] = weights[index]
        found.append(member._replace(frozen=bool(frozen[index])))
    names = [member.name for member in found]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UserError(f"Arch.models: {', '.join(sorted(repeated))} occurs twice")
    return found


def _list_of(arch, key, count, kinds, expected):
    values = arch.get(key)
    if values is None:
        return [None] * count
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} entries" if isinstance(values, list) else repr(values)
        raise UserError(f"Arch.{key}: expected {count} entries, one for each of Arch.models, found {found}")
    for index, value in enumerate(values):
        if value is not None and not isinstance(value, kinds):
            raise UserError(f"Arch.{key}[{index}]: expected {expected}, found {value!r}")
    return values


def _member(entry, index, class_num):
    where = f"Arch.models[{index}]"
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"{where}: expected one network such as 'Student: {{name: ResNet18}}', found {entry!r:.80}")
    ((name, options),) = entry.items()
    if not isinstance(name, str) or not name.isidentifier():
        raise UserError(f"{where}: expected a name of letters and digits such as Student, found {name!r}")
    where = f"{where}.{name}"
    if not isinstance(options, dict) or not isinstance(options.get("name"), str):
        raise UserError(f"{where}: expected a mapping with the name of a network, found {options!r:.80}")
    options = without_unset(options)
    if class_num is not None and options.setdefault("class_num", class_num) != class_num:
        found = options["class_num"]
        raise UserError(f"{where}.class_num: expected {class_num!r}, the class_num of the others, found {found!r}")
    return Member(name, options, False, where)


def deployed_name(arch):
    """The name of the network for use, `infer_model_name`; UserError where it is none of the networks."""
    names = [member.name for member in members(arch)]
    chosen = arch.get("infer_model_name")
    if chosen not in names:
        hint = nearest(chosen, names)
        raise UserError(f"Arch.infer_model_name: expected one of {', '.join(names)}, found {chosen!r}{hint}")
    return chosen


def deployed_arch(arch):
    """The `Arch` section of the network for use: `arch` itself, or the student's of a DistillationModel."""
    if not is_distillation(arch):
        return arch
    chosen = deployed_name(arch)
    return next(member.options for member in members(arch) if member.name == chosen)


def class_count(config) -> Any:
    """The number of classes: `Arch.class_num`, or `Global.class_num` in older configs, or ImageNet's 1000.

    Of a recognition, that of the identities of its training: `Arch.Head.class_num`.
    """
    arch = config["Arch"]
    sections = [("Arch", arch), ("Global", config["Global"])]
    if is_recognition(config) and arch.get("Head"):
        sections = [("Arch.Head", arch["Head"])]
    if is_distillation(arch):
        sections.insert(1, (f"Arch.models.{arch.get('infer_model_name')}", deployed_arch(arch)))
    for where, section in sections:
        count = section.get("class_num")
        if count is not None:
            return checks.whole(f"{where}.class_num", count)
    return 1000
