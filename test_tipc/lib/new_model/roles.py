"""Which script of a project trains, evaluates, predicts, exports and infers: by their names, folders and contents."""

import re

# the words in a file's name, the best first
_NAMES = {
    "train": ("train", "run_train", "training", "main", "train_net", "main_single_gpu", "main_multi_gpu"),
    "eval": ("eval", "evaluate", "val", "validate", "evaluation", "test"),
    "predict": ("predict", "infer", "inference", "demo"),
    "export": ("export_model", "export", "to_static", "export_inference_model", "save_inference_model"),
    "infer": ("infer", "inference", "predict_cls", "predict", "predict_system", "predict_det", "infer_demo"),
}
_SWITCHES = ("test_only", "eval_only", "evaluate_only", "only_eval", "evaluate", "eval", "only_test")
_ENGINE = re.compile(r"\bcreate_(?:paddle_)?predictor\b|\bpaddle\.inference\b|\bfrom paddle import inference\b")
_SCRIPTS = ("tools", "scripts")  # folders of commands, whose project is above them
_PADDLE = re.compile(r"^\s*(?:import|from)\s+paddle\b", re.MULTILINE)
# other ways to deploy, other frameworks, and what is not the project's main way
_ELSEWHERE = re.compile(
    r"serving|onnx|ptq|quant|slim|lite|benchmark|torch|ref\b|legacy|deprecated|depreciated|homework|tests?$|example|android|ios"
)


def find_roles(project):
    """{role: path} of the scripts that were found: those of one folder first, and of equal ones that next to
    the root. A repository may hold several projects, or one in several stages, of which only the last is complete."""
    ranked = {role: _ranked(project, role) for role in _NAMES}
    found, home = {}, _home(ranked)
    for role, scripts in ranked.items():
        if scripts:
            # a command elsewhere is better than a module at home
            found[role] = min(scripts, key=lambda each: (each[0][:2], not _is_in(each[1], home), each))[1]
    if found.get("predict") == found.get("infer") and "infer" in found:
        del found["predict"]
    return found


def _ranked(project, role):
    """[(rank, path)] of the candidates of a role, the best first."""
    return sorted((rank, path) for path in project.scripts() if (rank := _rank(project, path, role)) is not None)


def _home(ranked):
    """The folder of a training in which most of the other roles are found; of equal ones that of the best training."""
    trainings = ranked["train"]
    homes = [_folder_of(path) for rank, path in trainings if rank[:2] == trainings[0][0][:2]]
    roles = [[path for _, path in ranked[role]] for role in _NAMES]
    return max(homes, key=lambda home: sum(any(_is_in(path, home) for path in paths) for paths in roles), default="")


def _folder_of(path):
    """The folder of a project whose training this is, "" for the root: it may be in a folder for scripts."""
    folders = path.split("/")[:-1]
    return "/".join(folders[:-1] if folders and folders[-1] in _SCRIPTS else folders)


def _is_in(path, folder):
    return not folder or path.startswith(folder + "/")


def _rank(project, path, role):
    """What sorts the candidates of a role; None for a file that is none."""
    stem = path.rpartition("/")[2][: -len(".py")].lower()
    if stem not in _NAMES[role]:
        return None
    folders = path.split("/")[:-1]
    if any(_ELSEWHERE.search(folder.lower()) for folder in folders):
        return None
    source = project.source(path)
    runs_engine = bool(_ENGINE.search(source.text))
    in_deploy = "deploy" in folders  # there, the engine may be called elsewhere
    if role in ("infer", "predict") and (role == "infer") != (runs_engine or in_deploy):
        return None
    if role == "infer" and not _is_command(source):
        return None
    # a package's own module of that name is no command
    is_module = 0 if _is_command(source) else 1
    elsewhere = 0 if role != "infer" or runs_engine else 1
    usual = 0 if not folders or folders[-1] in ("tools", "deploy", "scripts", "python", "inference_python") else 1
    return elsewhere, is_module, usual, len(folders), _NAMES[role].index(stem)


def _is_command(source):
    """Whether a file does something when it is started; one that could not be read may."""
    return source.tree is None or "__main__" in source.text


def evaluation_by_training(options):
    """The option of the training script that makes it evaluate only, or None."""
    return next((option for name in _SWITCHES for option in options if option.switch and option.key == name), None)


def uses_paddle(project, path):
    """Whether a script imports Paddle, or could not be read."""
    source = project.source(path)
    return source.tree is None or bool(_PADDLE.search(source.text))
