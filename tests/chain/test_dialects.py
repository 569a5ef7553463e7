"""The configs of the official suites: which are read, what is planned for them, and the dry run itself."""

import re
import shlex
import shutil
import subprocess
import tarfile

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import CONFIGS, MODE, assert_one_error, bash

OFFICIAL = CONFIGS / "official"
DRIVER = "test_tipc/test_train_inference_python.sh"
CPU = "gpus_-1_autocast_null_nodes_1"
PLANNED = ("train", "evaluate", "export", "quantise", "infer")  # what depends on the dialect
# Of the files that are for this chain: those that cannot be used, and why
BROKEN = {
    "models/community/repo_template/test_tipc/configs/your_model_name/train_infer_python.txt": ":1: the file is empty",
    "PaddleClas/test_tipc/configs/GeneralRecognition/GeneralRecognition_PPLCNet_x2_5_train_no_eval.txt": (
        ":26: the section ===infer_params=== is missing"
    ),
    "PaddleClas/test_tipc/configs/GeneralRecognition/GeneralRecognition_PPLCNet_x2_5_train_multicard_eval.txt": (
        ":26: the section ===infer_params=== is missing"
    ),
    "PaddleClas/test_tipc/configs/ResNet/ResNet50_vd_train_linux_gpu_use_dali.txt": (
        ":22: the section ===eval_params=== is missing"
    ),
    "PaddleGAN/test_tipc/configs/edvr/train_linux_gpu_normal_amp_infer_python_linux_gpu_cpu.txt": (
        ":26: the section ===infer_params=== is missing"
    ),
    # they are for the benchmark of another script: every command of them is null
    "PaddleRec/test_tipc/configs/deep_walk/train_infer_python.txt": ":40: 'inference' has no value",
    "PaddleRec/test_tipc/configs/deep_walk/train_infer_python_million.txt": ":40: 'inference' has no value",
}
DIALECTS = {
    "models": 3,
    "paddleclas": 269,
    "paddleclas_dy2static": 4,
    "paddleclas_older": 2,
    "paddledetection": 51,
    "paddledetection_ptq": 3,
    "paddlegan": 11,
    "paddlerec": 11,
    "paddleseg": 40,
    "paddleseg_dy2static": 2,
    "paddleseg_ptq": 4,
    "paddlevideo": 13,
    "paddlevideo_ptq": 1,
    "panopticseg": 1,
}
# In one process: the dialect of each file and what it says about each mode, and the plan of the first mode that it has
EVERY = f"""
source "$0/{DRIVER}"
load_dialects
RUN[output_root]=out
while IFS= read -r file; do
    (
        if ! said=$( (read_config "$file" && choose_dialect) 2>&1); then
            printf '@@\\t%s\\trefused\\t\\t%s\\n' "$file" "$said"
            exit
        fi
        read_config "$file" && choose_dialect
        planned=''
        for RUN[mode] in "${{MODES[@]}}"; do
            said=$(take_parts 2>&1 && echo fits)
            printf '@@\\t%s\\t%s\\t%s\\t%s\\n' "$file" "${{DIALECT[name]}}" "${{RUN[mode]}}" "$said"
            [[ $said != *fits || -n $planned ]] || {{ planned=1 && main "$file" "${{RUN[mode]}}" --dry_run 2>&1; }}
        done
    )
done
"""


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The folder with all files, as they are in their repositories."""
    folder = tmp_path_factory.mktemp("official")
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        assert all(re.fullmatch(r"(\./)?[\w.+/-]+", name) and ".." not in name for name in archive.getnames())
        archive.extractall(folder)
    return folder


def dry_run(config, mode=MODE, *options, tree=ROOT, **environment):
    """What `--dry_run` prints, and how it ended."""
    return bash(
        f'bash "$0/{DRIVER}" "$@" --dry_run', config, mode, *options, tree=tree, CUDA_VISIBLE_DEVICES=None, **environment
    )


def plan(config, mode=MODE):
    """[(step, folder, words)] of the commands that depend on the dialect, with @ for the folder of the training."""
    done = dry_run(config, mode)
    assert (done.status, done.err) == (0, ""), done
    found = []
    tag = ""
    for line in done.out.splitlines():
        if re.match(r"# \S+$", line):
            tag = line[2:]
        step = re.fullmatch(r"([a-z]\S*(?: \S+)*): \(in (\S+)\) (.*)", line)
        if step and step[1].split()[0] in PLANNED:
            words = [re.sub(rf"test_tipc/output/[^/]+/{mode}/{tag}(?=/|$)", "@", word) for word in shlex.split(step[3])]
            found.append((step[1], step[2], " ".join(words)))
    return found


def infer(settings, words, folder="."):
    return (f"infer cpu {settings}", folder, f"python {words}")


# ------------------------------------------------------------------------------------------------------- all files


def test_the_samples_are_files_of_the_archive(official):
    contents = {path.read_bytes() for path in official.rglob("*.txt")}
    samples = sorted(OFFICIAL.glob("*.txt"))
    assert len(samples) >= 6
    assert [path.name for path in samples if path.read_bytes() not in contents] == []


def test_every_official_file_is_read_and_planned(official):
    files = sorted(path.relative_to(official).as_posix() for path in official.rglob("*.txt"))
    assert len(files) == 571
    text = "".join(f"{official}/{name}\n" for name in files)
    done = subprocess.run(
        ["bash", "-c", EVERY, str(ROOT)], input=text, capture_output=True, text=True, timeout=10 * LIMIT, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    refused, dialects, modes, commands = {}, {}, {}, {}
    for record in done.stdout.split("@@\t")[1:]:
        name, dialect, mode, rest = record.split("\t", 3)
        name = name.removeprefix(f"{official}/")
        said, _, planned = rest.partition("\n")
        if dialect == "refused":
            refused[name] = said
            continue
        dialects[name] = dialect
        commands[name] = commands.get(name, "") + planned
        modes.setdefault(name, {})[mode] = said + planned
    unfit = {name: found for name, found in modes.items() if not any("fits" in said for said in found.values())}
    refused.update({name: found[MODE] for name, found in unfit.items()})
    ours = {name for name in files if "train" in name.rsplit("/", 1)[-1]}
    assert {name for name in refused if name in ours} == set(BROKEN)
    for name, reason in BROKEN.items():
        assert f"{name}{reason}" in refused[name]
    for name in set(files) - ours:  # for other chains, which have sections of their own
        assert re.search(r":\d+: ", refused[name]), (name, refused[name])
    found = [dialect for name, dialect in dialects.items() if name not in refused]
    assert {dialect: found.count(dialect) for dialect in sorted(set(found))} == DIALECTS
    for name in ours - set(BROKEN):
        runs = [line for line in commands[name].splitlines() if re.match(r"(train|infer \S.*|quantise|export): \(in ", line)]
        assert runs, (name, commands[name])
        assert "error" not in commands[name], commands[name]
