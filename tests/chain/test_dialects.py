"""The configs of the official suites: which are read, and what is planned for them."""

import re
import shlex
import shutil
import subprocess
import tarfile

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import DRIVER, MODE, OFFICIAL, assert_one_error, bash, dry_run

CPU = "gpus_-1_autocast_null_nodes_1"
MODES = (MODE, "lite_train_whole_infer", "whole_infer", "whole_train_whole_infer")
PLANNED = ("train", "evaluate", "export", "quantise", "infer")  # what depends on the dialect
# Of the files that are for this chain: those that cannot be used, and why. Few, since what is only unusual is used.
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
}
DIALECTS = {
    "models": 3,
    "paddleclas": 270,
    "paddleclas_dy2static": 4,
    "paddleclas_older": 2,
    "paddledetection": 51,
    "paddledetection_ptq": 3,
    "paddlegan": 11,
    "paddlerec": 11,
    "paddleseg": 39,
    "paddleseg_dy2static": 2,
    "paddleseg_ptq": 4,
    "paddlevideo": 13,
    "paddlevideo_ptq": 1,
    "panopticseg": 1,
}
# In one process: the dialect of each file and what it says about each mode; and, for a file of each kind, the plan of
# the first mode that it has
EVERY = f"""
source "$0/{DRIVER}"
load_dialects
parse_chain_options --dry_run -- --dry_run
exec 2>&1
while IFS=$'\\t' read -r file plan; do
    printf '\\f%s\\n' "$file"
    (
        read_config "$file"
        choose_dialect
        printf 'dialect\\v%s\\v' "${{DIALECT[name]}}"
        for mode in "${{MODES[@]}}"; do
            RUN[mode]=$mode
            printf '%s\\v%s\\v' "$mode" "$(take_parts && echo fits)"
        done
        [[ -n $plan ]] || exit
        printf 'plan\\v'
        for mode in lite_train_lite_infer whole_infer; do
            RUN[mode]=$mode RUN[config]=$file
            (take_parts && plan_only && certify_config) && break
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


def kind(path):
    """What a file says, but for the names of its model and files, and for the benchmarks at its end."""
    text = re.split(r"=+(?:disable_)?(?:train|infer)_benchmark", path.read_text(encoding="utf-8"))[0]
    name = re.search(r"^model_name:\s*(\S+)", text, re.M)
    text = re.sub(r"[\w./-]+\.ya?ml|https?://\S+", "", text)
    return text.replace(name[1], "") if name else text


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
    kinds = {kind(official / name): name for name in files}  # one name for each
    text = "".join(f"{official}/{name}\t{'plan' if name in kinds.values() else ''}\n" for name in files)
    done = subprocess.run(
        ["bash", "-c", EVERY, str(ROOT)], input=text, capture_output=True, text=True, timeout=10 * LIMIT, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    refused, dialects, plans = {}, {}, {}
    for record in done.stdout.split("\f")[1:]:
        path, _, said = record.partition("\n")
        name = path.removeprefix(f"{official}/")
        parts = said.split("\v")
        facts = dict(zip(parts[::2], parts[1::2]))
        if any(facts.get(mode, "").endswith("fits") for mode in MODES):
            dialects[name] = facts["dialect"]
            if "plan" in facts:
                plans[name] = facts["plan"]
        else:
            refused[name] = facts.get(MODE, said)
    ours = {name for name in files if "train" in name.rsplit("/", 1)[-1]}
    assert ours & set(refused) == set(BROKEN)
    for name, reason in BROKEN.items():
        assert f"{name}{reason}" in refused[name]
    for name in set(files) - ours:  # for other chains, which have sections of their own
        assert re.search(rf"^error: {re.escape(str(official / name))}:\d+: ", refused[name], re.M), refused[name]
    found = list(dialects.values())
    assert {dialect: found.count(dialect) for dialect in sorted(set(found))} == DIALECTS
    assert len(plans) > 150
    for name, text in plans.items():
        if "/deep_walk/" in name:  # they are for the benchmark of another script: every command of theirs is null
            assert "train: skipped (the config has no command for norm_train)" in text
            continue
        assert re.search(r"^(train|infer \S.*|quantise|export): \(in ", text, re.M), (name, text)
        assert "unbound" not in text
        assert not re.search(r"(^|/)lib/\w+\.sh: line", text), text


# --------------------------------------------------------------------------- what is planned for one file of each suite


def test_paddledetection():
    config = "configs/ppyolo/ppyolo_r50vd_dcn_1x_coco.yml"
    weights = "@/ppyolo_r50vd_dcn_1x_coco/model_final.pdparams"
    url = "https://paddledet.bj.bcebos.com/models/ppyolo_r50vd_dcn_1x_coco.pdparams"
    model = "@/inference/ppyolo_r50vd_dcn_1x_coco"

    def infers(folder):
        start = "./deploy/python/infer.py --device=cpu --enable_mkldnn=False --cpu_threads=4 --run_mode=paddle"
        return [
            infer(
                f"usemkldnn_False_threads_4_precision_paddle_batchsize_{batch}",
                f"{start} --batch_size={batch} --model_dir={folder} --image_dir=./dataset/coco/test2017/ "
                "--run_benchmark=False",
            )
            for batch in (1, 2)
        ]

    assert plan(OFFICIAL / "paddledetection_ppyolo.txt") == [
        (
            "train",
            ".",
            f"python tools/train.py -c {config} -o use_gpu=False save_dir=@ epoch=1 pretrain_weights={url} "
            "TrainReader.batch_size=2 log_iter=1 filename=ppyolo_r50vd_dcn_1x_coco LearningRate.base_lr=0.0001",
        ),
        ("evaluate", ".", f"python tools/eval.py -c {config} -o weights={weights} use_gpu=False"),
        (
            "export",
            ".",
            f"python tools/export_model.py -c {config} -o weights={weights} filename=ppyolo_r50vd_dcn_1x_coco "
            "--output_dir=@/inference",
        ),
        *infers(model),
    ]
    provided = "pretrain_models/ppyolo_r50vd_dcn_1x_coco.pdparams"
    quantised = plan(OFFICIAL / "paddledetection_ppyolo.txt", "whole_infer")[-3:]
    assert quantised == [
        (
            "quantise",
            ".",
            f"python tools/post_quant.py -c {config} --slim_config configs/slim/post_quant/ppyolo_r50vd_dcn_ptq.yml "
            f"-o weights={provided} filename=ppyolo_r50vd_dcn_1x_coco --output_dir=@/inference",
        ),
        *infers(model),
    ]


def test_paddleseg():
    yaml = "test_tipc/configs/lpsnet/lpsnet_m_cityscapes_1536x1024_200k.yml"
    assert plan(OFFICIAL / "paddleseg_lpsnet.txt") == [
        (
            "train",
            ".",
            f"python tools/train.py --config {yaml} --do_eval --save_interval 500 --seed 100 --device gpu --device=cpu "
            "--save_dir=@ --iters=20 --batch_size=2",
        ),
        (
            "export",
            ".",
            f"python tools/export.py --config {yaml} --model_path=@/best_model/model.pdparams --save_dir=@/inference",
        ),
        infer(
            "usemkldnn_True_threads_6_precision_fp32_batchsize_1",
            "deploy/python/infer.py --device=cpu --enable_mkldnn=True --cpu_threads=6 --precision=fp32 --batch_size=1 "
            "--config=@/inference/deploy.yaml --image_path=test_tipc/data/cityscapes/cityscapes_val_5.list "
            "--benchmark=True --model_name=lpsnet",
        ),
    ]
    export = plan(OFFICIAL / "paddleseg_lpsnet.txt", "whole_infer")[0]
    assert export[2].endswith("--model_path=test_tipc/output/lpsnet/model.pdparams --save_dir=@/inference")


def test_paddlegan():
    """The weights follow the `--load` that ends the export command; their folder has the time in its name."""
    assert plan(OFFICIAL / "paddlegan_pix2pix.txt") == [
        (
            "train",
            ".",
            "python tools/main.py -c configs/pix2pix_facades.yaml --seed 123 -o log_config.interval=1 output_dir=@ "
            "epochs=10 dataset.train.batch_size=1",
        ),
        (
            "export",
            ".",
            "python tools/export_model.py -c configs/pix2pix_facades.yaml --inputs_size=-1,3,-1,-1 --model_name "
            "inference --load @/pix2pix_facades*/*checkpoint.pdparams --output_dir=@/inference",
        ),
        infer(
            "usemkldnn_null_threads_null_precision_null_batchsize_null",
            "tools/inference.py --model_type pix2pix --seed 123 -c configs/pix2pix_facades.yaml "
            "--output_path test_tipc/output/ --device=cpu --model_path=@/inference/inference --benchmark=True",
        ),
    ]
    (only,) = plan(OFFICIAL / "paddlegan_pix2pix.txt", "whole_infer")
    assert "--model_path=inference/pix2pix_facade/pix2pixmodel_netG " in only[2]


def test_paddlerec():
    """Options behind the -o; the line of the output folder has no colon; the weights are the folder of an epoch."""
    yaml = "-m ./models/rank/deepfm/config_bigdata.yaml"
    found = plan(OFFICIAL / "paddlerec_deepfm.txt")
    assert found[:2] == [
        (
            "train",
            ".",
            f"python -u tools/trainer.py {yaml} -o runner.print_interval=2 runner.use_gpu=False "
            "runner.model_save_path=@ runner.epochs=1 runner.train_batch_size=2 "
            "runner.train_data_dir=../../../test_tipc/data/train",
        ),
        (
            "export",
            ".",
            f"python -u tools/to_static.py {yaml} -o runner.CE=true runner.model_init_path=@/0 "
            "runner.model_save_path=@/inference",
        ),
    ]
    script = "-u tools/paddle_infer.py --model_name=deepfm --reader_file=models/rank/deepfm/criteo_reader.py"

    def infers(model):
        return [
            infer(
                f"usemkldnn_False_threads_{threads}_precision_fp32_batchsize_10",
                f"{script} --use_gpu=False --enable_mkldnn=False --cpu_threads={threads} --precision=fp32 "
                f"--batchsize=10 --model_dir={model} --data_dir=test_tipc/data/infer --benchmark=True",
            )
            for threads in (1, 6)
        ]

    assert found[2:] == infers("@/inference")
    assert plan(OFFICIAL / "paddlerec_deepfm.txt", "whole_infer") == infers("test_tipc/save_deepfm_model")


def test_paddlevideo():
    yaml = "-c configs/localization/bmn.yaml"
    found = plan(OFFICIAL / "paddlevideo_bmn.txt")
    assert found[:3] == [
        (
            "train",
            ".",
            f"python main.py --validate {yaml} --seed 1234 -o output_dir=@ -o epochs=2 -o DATASET.batch_size=16 "
            "--max_iters=30",
        ),
        ("evaluate", ".", f"python main.py --test {yaml} -w=@/*_epoch_*.pdparams"),
        (
            "export",
            ".",
            f"python tools/export_model.py {yaml} --save_name inference -p=@/*_epoch_*.pdparams -o=@/inference",
        ),
    ]
    assert found[3:] == [
        infer(
            f"usemkldnn_False_threads_{threads}_precision_fp32_batchsize_1",
            "tools/predict.py --config configs/localization/bmn.yaml --use_gpu=False --enable_mkldnn=False "
            f"--cpu_threads={threads} --precision=fp32 --batch_size=1 --model_file=@/inference/inference.pdmodel "
            "--params_file=@/inference/inference.pdiparams --input_file=./data/example_feat.list "
            "--enable_benchmark=True",
        )
        for threads in (1, 6)
    ]
    train = plan(OFFICIAL / "paddlevideo_bmn.txt", "whole_train_whole_infer")[0]
    assert train[2] == f"python main.py --validate {yaml} --seed 1234 -o output_dir=@"


def test_each_part_of_a_dy2static_file_is_trained_in_both_ways():
    commands = [words for _, _, words in plan(OFFICIAL / "paddleclas_dy2static.txt")]
    options = "-o Global.device=cpu -o Global.output_dir=@ -o Global.epochs=2 -o DataLoader.Train.sampler.batch_size=8"
    assert len(commands) == 4
    full = " -o AMP.use_amp=False"  # there is no GPU for mixed precision
    assert all(words.removesuffix(full).endswith(options) for words in commands)
    assert [words.endswith(full) for words in commands] == [False, False, True, True]
    assert ["-o Global.to_static=True" in words for words in commands] == [False, True, False, True]
    assert ["-o AMP.level=O2" in words for words in commands] == [False, False, True, True]


# -------------------------------------------------------------------------------------------------------- the tables


@pytest.fixture
def own_tables(tmp_path):
    """A copy of test_tipc/, in which a test may change the tables."""
    shutil.copytree(ROOT / "test_tipc", tmp_path / "t/test_tipc", ignore=shutil.ignore_patterns("output"))
    return tmp_path / "t"


def test_adding_a_dialect_is_adding_a_file(own_tables):
    table = own_tables / "test_tipc/lib/dialects/mine.txt"
    table.write_text(
        "# a suite of my own\n@infer_folder run\n@train --seed 1\n====mine====\nmodel_name\ngpu_list gpu_list\n"
        "trainer trainer\nnorm_train\noutput_dir\n##\nnorm_export\nexport_weights\nsave_inference_dir\n##\n"
        "inference\nmodel_dir\nimage\nuse_gpu\n"
    )
    config = own_tables / "config.txt"
    config.write_text(
        "===mine===\nname:net\ngpu_list:-1\ntrainer:fit\nfit:fit.py\n--to:\n##\ne:export.py\n--from:\n--to:\n##\n"
        "i:infer.py\n--model:\n--image:a.jpg\n--gpu:False\n"
    )
    done = dry_run(config, tree=own_tables)
    assert done.err == ""
    home = "test_tipc/output/net/lite_train_lite_infer/fit_gpus_-1_autocast_null_nodes_1"
    for line in (
        f"train: (in .) python fit.py --to={home} --seed 1",
        f"(in run) python infer.py --gpu=False --model=../{home}/inference --image=a.jpg",
    ):
        assert line in done.out
    table.unlink()
    assert_one_error(dry_run(config, tree=own_tables), "the section ===train_params=== is missing; is ===mine===")


def test_a_row_too_many_in_a_table_is_seen(own_tables):
    table = own_tables / "test_tipc/lib/dialects/paddledetection.txt"
    table.write_text(table.read_text().replace("cpu_threads\n", "cpu_threads\nanother\n"))
    assert_one_error(
        dry_run(OFFICIAL / "paddledetection_ppyolo.txt", tree=own_tables),
        ":51: this part has 14 lines; expected 'infer_free'",
    )


def test_every_field_of_a_table_is_known():
    """A misspelt field would be read, and then never used."""
    scripts = "".join(path.read_text() for path in [ROOT / DRIVER, *(ROOT / "test_tipc/lib").glob("*.sh")])
    rows, settings = {}, {}
    for table in sorted((ROOT / "test_tipc/lib/dialects").glob("*.txt")):
        for line in table.read_text().splitlines():
            if line.startswith("@"):
                settings.setdefault(line[1:].split()[0], table.name)
            elif line and line[0] not in "#=":
                rows.setdefault(line.split()[0].rstrip("?"), table.name)
    unused = {"python", "save_log_path", "custom", "method", "filename", "quant_free"}  # lines of no use here
    known = set(re.findall(r"\w+", scripts)) | unused | {"train_infer_img_dir"}  # named by a setting
    known |= {name.replace("_train", "_export") for name in known}
    assert {field for field in rows if field not in known and not field.startswith("quant_")} == set()
    readme = (ROOT / "test_tipc/lib/dialects/README.md").read_text()
    assert {name for name in settings if f"`@{name}" not in readme} == set()
    assert {
        name for name in settings if f"DIALECT[{name}]" not in scripts and f"add_setting {name}" not in scripts
    } <= {
        "amp",
        "fp16",
        "fp32",
    }


# ------------------------------------------------------------------------------------------------------- the weights


@pytest.mark.parametrize(
    ("sample", "change", "expected"),
    [
        ("paddledetection_ppyolo", None, "pretrain_models/ppyolo_r50vd_dcn_1x_coco.pdparams"),
        ("paddleseg_lpsnet", None, "test_tipc/output/lpsnet/model.pdparams"),
        ("paddlevideo_bmn", None, "data/BMN.pdparams"),
        ("paddlegan_pix2pix", None, ""),  # an exported model, and nothing takes weights
        ("paddlerec_deepfm", None, ""),
        ("paddleseg_lpsnet", ("infer_model:./test_tipc/output/lpsnet/model.pdparams", "infer_model:null"), None),
    ],
)
def test_what_whole_infer_needs(tmp_path, sample, change, expected):
    config = tmp_path / "config.txt"
    config.write_text((OFFICIAL / f"{sample}.txt").read_text().replace(*change or ("", "")))
    run = bash('read_config "$1"; weights_for_whole_infer', config)
    if expected is None:
        assert_one_error(run, "no pretrained_model_url or train_model line names the weights")
        assert_one_error(dry_run(config, "whole_infer"), f"{config}:37: 'infer_model' has no value")
    else:
        assert (run.out.strip(), run.err) == (expected, "")
        assert dry_run(config, "whole_infer").status == 0


# ------------------------------------------------------------------------------------------------- options and commands


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("t.py", [("--a", "1"), ("-o B.c", "2")], "t.py --a=1 -o B.c=2"),
        ("t.py -c x -o", [("--a", "1"), ("b", "2"), ("c", "3")], "t.py -c x -o b=2 c=3 --a=1"),
        ("t.py -o a=1 b=2 --seed 5", [("c", "3"), ("--d", "4")], "t.py -o a=1 b=2 c=3 --seed 5 --d=4"),
        ("t.py --load", [("load", "w"), ("--load", "x")], "t.py --load w --load=x"),
        ("t.py", [("plain", "1"), ("null", "2"), ("--a", "null"), ("--b", "")], "t.py plain=1"),
        ("t.py", [("-w", "x y")], "t.py -w=x y"),
    ],
)
def test_options_are_put_where_the_script_reads_them(command, options, expected):
    words = [word for pair in options for word in pair]
    add = 'while (($# > 0)); do add_option "$1" "$2"; shift 2; done'
    run = bash(f'VALUE[c]=$1; begin_command c; shift; {add}; echo "${{COMMAND[*]}}"', command, *words)
    assert (run.out, run.err) == (f"python {expected}\n", "")


def test_the_free_line_of_the_evaluation_may_be_a_command_for_predicting(chain):
    chain.text = chain.text.replace("eval.py\nnull:null", "eval.py\npredict:tools/predict.py --top 5", 1)
    chain.path.write_text(chain.text)
    show = 'RUN[config]=$1; read_train_config; echo "${KEY[predict]} ${VALUE[predict]} ${KEY[eval_free]}"'
    assert bash(show, chain.path, MODE=MODE).out == "predict tools/predict.py --top 5 null\n"
    chain.path.write_text(chain.text.replace("--top 5", "--top '5"))
    assert_one_error(bash(show, chain.path, MODE=MODE), "'predict' has a quote that is not closed")
