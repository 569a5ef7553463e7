"""The lines of `train_infer_python.txt` in the dialect of PaddlePaddle/models, which any project can use."""

import re

from new_model import TO_DO, choices
from new_model.commands import plain
from new_model.data import LITE_BATCH, STEPS, lite_epochs, sample_images, training_folder, training_folder_of_script
from new_model.options import UNKNOWN
from new_model.roles import evaluation_by_training

_ITERATIONS = ("iters", "max_iters", "num_iters", "max_steps", "max_iter")
_SAVED = re.compile(r"[\"']([\w./{}%-]*\.pdparams)[\"']")
_NO_LINE = "null:null"


class Lines:
    """The lines of the config, one after the other; `left` are (line number, what a person has to do there)."""

    def __init__(self):
        self.texts, self.left = [], []

    def add(self, text, to_do=None):
        self.texts.append(text)
        if to_do:
            self.left.append((len(self.texts), to_do))

    def title(self, name):
        self.texts.append(_title(name))

    def text(self, general):
        """The whole file; what is left to do stands in a section of its own at the end, which no chain reads."""
        lines = list(self.texts)
        if self.left or general:
            lines.append(_title(TO_DO))
            lines += [f"line_{number}:{to_do}" for number, to_do in self.left]
            lines += [f"project:{to_do}" for to_do in general]
        return "\n".join(lines) + "\n"


def _title(name):
    return f"==========================={name}==========================="


def write_lines(project, name, commands, required):
    """Lines for the Commands {role: Command}; `required` {role: options that the role's script demands}."""
    lines, train = Lines(), commands["train"]
    evaluation = commands.get("eval")
    data = train.find(choices.DATA)
    folder = training_folder(project, data[1] if data else None)
    lines.title("train_params")
    lines.add(f"model_name:{name}")
    lines.add("python:python3")
    lines.add("gpu_list:-1")
    lines.add(*_device(train, choices.DEVICE, "gpu", "True"))
    lines.add(*_epochs(project, train, folder))
    lines.add(*_value(train, choices.OUTPUT, "./output/", "the folder of the trained weights"))
    lines.add(*_batch(train))
    tested = evaluation or train  # the chain gives the evaluation its weights with the option of this line
    weights = tested.find(choices.WEIGHTS)
    lines.add(f"{weights[0]}:null" if weights else _NO_LINE, None if weights else _no_option(tested, "weights"))
    lines.add(*_saved_name(project, train))
    lines.add(*_data(data, folder))
    lines.add("##")
    lines.add("trainer:norm_train")
    lines.add(f"norm_train:{_training(train)}", _unset(train, required["train"], lines))
    lines.add("##")
    lines.title("eval_params")
    lines.add(*_evaluation(project, train, evaluation, required, folder))
    if "predict" in commands:
        lines.add(*_prediction(commands, required))
    lines.add("##")
    lines.title("infer_params")
    _exports(project, name, commands, required, lines)
    _inference(project, name, commands, required, lines)
    return lines


def _training(train):
    """The command of the training. A short one prints each step, where it would print too few to see the loss fall."""
    found = train.find(choices.PRINT)
    if not found or not _is_number(found[1]) or int(found[1]) < 2:
        return train.words
    return f"lite_train={train.words} {found[0]}=1|whole_train={train.words}"


def _device(command, names, named, switched):
    """The line that chooses the device: with `named` for an option that takes its name, else with `switched`."""
    found = command.find(names)
    if not found:
        return (_NO_LINE,)
    key, _, option = found
    if option is not None and option.converter == "bool":
        fault = f"type=bool makes True of any text, False too: {command.path} cannot be told to use the CPU"
        return f"{key}:True", fault
    is_name = key.rpartition(".")[2].lstrip("-").lower() in ("device", "place")
    return (f"{key}:{named if is_name else switched}",)


def _epochs(project, train, folder):
    found = train.find(choices.EPOCHS)
    if not found:
        return _NO_LINE, _no_option(train, "the number of epochs")
    key, default, _ = found
    counts = key.rpartition(".")[2].lstrip("-").replace("-", "_").lower() in _ITERATIONS
    lite, is_counted = (STEPS, True) if counts else lite_epochs(project, folder)
    whole = f"|whole_train_whole_infer={default}" if _is_number(default) else ""
    to_do = None if is_counted else f"{key}: so many epochs that a short training has 100 steps, to see the loss fall"
    return f"{key}:lite_train_lite_infer={lite}{whole}", to_do


def _batch(train):
    found = train.find(choices.BATCH)
    if not found:
        return _NO_LINE, _no_option(train, "the batch size")
    whole = f"|whole_train_whole_infer={found[1]}" if _is_number(found[1]) else ""
    return (f"{found[0]}:lite_train_lite_infer={LITE_BATCH}{whole}",)


def _value(command, names, value, what):
    found = command.find(names)
    return (f"{found[0]}:{value}",) if found else (_NO_LINE, _no_option(command, what))


def _saved_name(project, train):
    """The name under which the training leaves its weights: a file's name in its text, or in what it imports."""
    texts = [project.source(train.path).text]
    others = (source.text for path, source in project.sources.items() if path != train.path)
    texts += [text for text in others if "paddle.save" in text]
    names = [name.rpartition("/")[2] for text in texts for name in _SAVED.findall(text)]
    fixed = [name for name in names if "{" not in name and "%" not in name and name != ".pdparams"]
    for word in ("latest", "best_model", "best", "final", "last", "model", ""):
        for name in fixed:
            if word in name:
                return (f"train_model_name:{name}",)
    return "train_model_name:*.pdparams", "the newest file that fits is taken: name the weights that training leaves"


def _data(found, folder):
    if found and found[2] is None:
        return (_NO_LINE,)  # the YAML config names the data
    if not found:
        return (_NO_LINE,) if folder is None else (_NO_LINE, "no option of the training takes the folder of the data")
    if folder is None:
        return f"{found[0]}:./lite_data", "put a few images for a short training there, or name their folder"
    return (f"{found[0]}:{folder}",)


def _evaluation(project, train, evaluation, required, folder):
    switch = evaluation_by_training(train.options)
    if evaluation is None and switch is None:
        return "eval:null", "no script evaluates: write the command that does"
    command = evaluation or train
    words = command.words if evaluation else f"{command.words} {switch.flag}"
    data = command.find(choices.DATA)
    if data and data[2] is not None and folder and folder != training_folder_of_script(project, data[1]):
        words += f" {data[0]}={folder}"  # the line of the data is for the training only
    return f"eval:{words}", _unset(command, required["eval"] if evaluation else (), names=choices.DATA)


def _prediction(commands, required):
    """The command that predicts; its options are written out where those of the export and the inference are others."""
    predict = commands["predict"]
    weights, image = predict.find(choices.WEIGHTS), predict.find(choices.IMAGE)
    words = predict.words
    for found, other, names, place in (
        (weights, commands.get("export"), choices.WEIGHTS, "{weights}"),
        (image, commands.get("infer"), choices.IMAGE, "{image}"),
    ):
        usual = other.find(names) if other else None
        if found and (usual is None or usual[0] != found[0]):
            words += f" {found[0]}={place}"
    to_do = None if weights and image else f"{predict.path}: write {{weights}} and {{image}} where it takes them"
    return f"predict:{words}", to_do or _unset(predict, required["predict"], names=(*choices.WEIGHTS, *choices.IMAGE))


def _exports(project, name, commands, required, lines):
    export = commands.get("export")
    provided = [path for path in project.files if path.endswith(".pdparams") and plain(name) in plain(path)]
    weights = f"./{provided[0]}" if provided else f"./pretrain_models/{name}_pretrained.pdparams"
    words = export.words if export else "null"
    if export is None:
        lines.add(_NO_LINE)
        lines.add(_NO_LINE)
        lines.add("norm_export:null", "no script exports the network: write the command that does")
    else:
        place = export.find(choices.EXPORTED)
        taken = export.find(choices.WEIGHTS)
        lines.add(*_value(export, choices.EXPORTED, f"./output/{name}_infer/", "the folder of the exported model"))
        same = place and taken and place[0] == taken[0]
        lines.add(f"{taken[0]}:" if taken and not same else _NO_LINE, None if taken else _no_option(export, "weights"))
        lines.add(f"norm_export:{words}", _unset(export, required["export"], lines))
    lines.add("##")
    lines.add(f"train_model:{weights}", None if provided else "only whole_infer needs it: the weights that you provide")
    lines.add(f"infer_export:{words}")
    lines.add("##")


def _inference(project, name, commands, required, lines):
    infer = commands.get("infer")
    if infer is None:
        lines.add("inference:null", "no script uses paddle.inference: write the command that runs the exported model")
        for line in ("--use_gpu:False", "--batch_size:1", "--model_dir:", "--image_path:", "--benchmark:null"):
            lines.add(line)
        return
    lines.add(f"inference:{infer.words}", _unset(infer, required["infer"], lines))
    lines.add(*_device(infer, choices.USE_GPU, "gpu|cpu", "True|False"))
    batch = infer.find(choices.BATCH)
    lines.add(f"{batch[0]}:1" if batch else _NO_LINE)
    model = infer.find(choices.MODEL) or infer.find(choices.CONFIG)
    is_file = model and any(word in model[0] for word in ("file", "config", "cfg", "prefix"))
    to_do = f"is {model[0]} of {infer.path} a file? the chain gives the folder of the model" if is_file else None
    lines.add(
        f"{model[0]}:./output/{name}_infer/" if model else _NO_LINE,
        to_do if model else _no_option(infer, "the folder of the exported model"),
    )
    image = infer.find(choices.IMAGE)
    place = sample_images(project, image[1] if image else None)
    if not image:
        lines.add(_NO_LINE, _no_option(infer, "the images"))
    else:
        lines.add(f"{image[0]}:{place or './images'}", None if place else "put a few images there, or name theirs")
    switch = infer.find(choices.BENCHMARK)
    lines.add(f"{switch[0]}:False" if switch and _takes_truth(switch) else _NO_LINE)


def _takes_truth(found):
    option = found[2]
    return option is None or option.converter != "bool"


def _unset(command, required, lines=None, names=()):
    """What to do about options that a script demands and no line gives."""
    given = {line.partition(":")[0] for line in (lines.texts if lines else ())}
    known = {*choices.WEIGHTS, *choices.DATA, *choices.OUTPUT, *choices.EXPORTED, *choices.MODEL, *choices.IMAGE}
    known |= set(names)
    open_ones = [flag for flag in required if flag not in given]
    missing = [flag for flag in open_ones if flag.lstrip("-").replace("-", "_").lower() not in known]
    return f"{command.path} demands {', '.join(missing)}: write it behind the script" if missing else None


def _no_option(command, what):
    return f"{command.path}: no option for {what} was found: write it, or null"


def _is_number(value):
    return value is not UNKNOWN and re.fullmatch(r"\d+", str(value)) is not None
