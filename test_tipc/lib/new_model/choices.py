"""Which option of a script a line of the config needs, by the names that Paddle's projects use."""

# the names of options, without dashes and with _, the best first
EPOCHS = ("epochs", "epoch", "num_epochs", "num_epoch", "max_epochs", "max_epoch", "n_epochs", "total_epochs")
EPOCHS += ("num_train_epochs", "train_epochs", "iters", "max_iters", "num_iters", "max_steps", "max_iter")
OUTPUT = ("output_dir", "save_dir", "output", "out_dir", "save_path", "output_path", "checkpoint_dir", "ckpt_dir")
OUTPUT += ("work_dir", "model_save_dir", "save_model_dir")
BATCH = ("batch_size", "train_batch_size", "batchsize", "bs", "b", "batch_size_per_card", "infer_batch_size")
WEIGHTS = ("weights", "weight", "pretrained_model", "pretrained", "model_path", "params_path", "params", "model_params")
WEIGHTS += ("checkpoint", "checkpoints", "ckpt", "ckpt_path", "checkpoint_path", "pretrained_path", "model_file")
WEIGHTS += ("pretrain_weights", "init_checkpoint", "load", "load_path")
DATA = ("data_path", "data_dir", "dataset_root", "data_root", "dataset_dir", "dataset_path", "dataset", "data")
DATA += ("image_root", "train_dir", "root")
DEVICE = ("device", "use_gpu", "gpu", "place")
EXPORTED = ("save_inference_dir", "save_dir", "output_dir", "output_path", "save_path", "export_dir", "out_dir")
EXPORTED += ("output", "inference_dir", "inference_model_dir", "save_file")
MODEL = ("model_dir", "inference_model_dir", "model_path", "inference_dir", "model", "model_file", "model_prefix")
IMAGE = ("img_path", "image_path", "image_dir", "image_file", "infer_imgs", "img_dir", "infer_img", "image", "images")
IMAGE += ("input", "input_path", "source", "img", "image_folder", "infer_dir", "filename", "file")
USE_GPU = ("use_gpu", "device", "gpu")
PRINT = ("print_freq", "print_batch_step", "print_step", "print_interval", "log_iters", "log_iter", "log_interval")
PRINT += ("log_freq", "log_steps", "log_step", "log_every", "display_step")
BENCHMARK = ("benchmark", "run_benchmark", "use_benchmark", "enable_benchmark")
CONFIG = ("config", "cfg", "config_file", "config_path")
OVERRIDE = ("override", "opt", "opts", "options", "o", "cfg_options")
SWITCH_WORDS = ("str2bool", "strtobool", "str_to_bool", "boolean", "_str2bool", "ast.literal_eval")


def choose(options, names, switches=False):
    """The first Option that has one of the names, in the order of the names; None where there is none. Switches, which
    take no value, only where they are wanted."""
    for name in names:
        for option in options:
            spelled = {flag.lstrip("-").replace("-", "_").lower() for flag in option.flags} | {option.key}
            if name in spelled and (switches or not option.switch):
                return option
    return None


def choose_key(keys, names):
    """The dotted name of a YAML key whose last part is one of the names; that of the training, or next to the root."""
    for name in names:
        found = [key for key in keys if key.rpartition(".")[2].lower() == name]
        if found:
            return min(found, key=lambda key: ("train" not in key.lower(), key.count("."), key))
    return None
