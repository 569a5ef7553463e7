"""Faults of the foreign projects, each as their users could make it."""

from tests.helpers.planted import Planted, edit, option, together, turned_images
from tests.helpers.projects import FAULTS

INFER, EXPORT, PREDICT = "deploy/infer.py", "tools/export_model.py", "tools/predict.py"
PYTHON, STEPS = "deploy/python/infer.py", "deploy/python/preprocess.py"
_OPENED = 'img = Image.open(f).convert("RGB")\n'
_RESIZED = "img = img.resize((int(size * w / min(w, h)), int(size * h / min(w, h))), Image.BILINEAR)\n"
_SCALED = "img = (img * np.float32(1.0 / 255.0) - mean) / std\n"
_CHW = 'return img.transpose((2, 0, 1)).astype("float32")'
_LEFT = "left = int(round((w - self.args.crop_size) / 2.0))"
_SOFTMAX = "model = nn.Sequential(model, nn.Softmax())\n"
_LOADED = "    model.set_state_dict(paddle.load(args.pretrained))\n"


def known(project, name):
    """A fault of projects.py."""
    return edit(*FAULTS[project][name][:3])


def in_infer(old, new):
    return edit(INFER, old, new)


def in_export(old, new):
    return edit(EXPORT, old, new)


def behind(old, *lines):
    """More lines behind one of infer.py's preprocessing."""
    return in_infer(old, old + "".join(f"        {line}\n" for line in lines))


def from_cv2(flags, *lines):
    """infer decodes with OpenCV."""
    return together(
        in_infer("import numpy as np\n", "import cv2\nimport numpy as np\n"),
        in_infer(
            f'        with open(img_path, "rb") as f:\n            {_OPENED}',
            f"        img = cv2.imread(img_path, {flags})\n" + "".join(f"        {line}\n" for line in lines),
        ),
    )


_RGB = "img = Image.fromarray(cv2.cvtColor(img, cv2.COLOR_BGR2RGB))"

CLASSIFIER = [
    # (what was done, how, stage, cause, words)
    # ---- decoded pixels
    ("only infer's decoder turns images as EXIF says", together(turned_images, from_cv2("cv2.IMREAD_COLOR", _RGB)),
     "decoded pixels", "exif", "infer's image is predict's turned by 90 degrees clockwise"),
    ("infer decodes as grey", from_cv2("cv2.IMREAD_GRAYSCALE", 'img = Image.fromarray(img).convert("RGB")'),
     "decoded pixels", "grey", "infer decodes the image as grey"),
    ("infer decodes at half the size, with OpenCV", from_cv2("cv2.IMREAD_REDUCED_COLOR_2", _RGB),
     "decoded pixels", "reduced_size", "infer decodes the image at 1/2 of its size"),
    ("infer decodes at half the size, with Pillow's draft",
     in_infer(_OPENED, 'img = Image.open(f)\n            img.draft("RGB", (img.width // 2, img.height // 2))\n'
              '            img = img.convert("RGB")\n'),
     "decoded pixels", "reduced_size", "infer decodes the image at 1/2 of its size"),
    # ---- network input
    ("BGR in infer", known("classifier", "BGR in infer"),
     "network input", "bgr", "the channels are in reverse order (BGR for RGB)"),
    ("OpenCV's BGR in infer", from_cv2("cv2.IMREAD_COLOR", "img = Image.fromarray(img)"),
     "network input", "bgr", "the channels are in reverse order (BGR for RGB)"),
    ("another mean in infer", known("classifier", "another mean in infer"),
     "network input", "mean_std", "infer has mean 0.5 and std 0.229, 0.224, 0.225"),
    ("another standard deviation in infer", in_infer("[0.229, 0.224, 0.225]", "[0.5, 0.5, 0.5]"),
     "network input", "mean_std", "infer has mean 0.485, 0.456, 0.406 and std 0.5"),
    ("mean and standard deviation in the order BGR in infer",
     together(in_infer("[0.485, 0.456, 0.406]", "[0.406, 0.456, 0.485]"),
              in_infer("[0.229, 0.224, 0.225]", "[0.225, 0.224, 0.229]")),
     "network input", "mean_std", "(ImageNet's in the order BGR)"),
    ("no mean and no standard deviation in infer", in_infer(_SCALED, "img = img * np.float32(1.0 / 255.0)\n"),
     "network input", "mean_std", "infer has pixels / 255"),
    ("no division by 255 in infer", in_infer(_SCALED, "img = (img - mean * 255) / std\n"),
     "network input", "scale_255", "infer's numbers are 255 times predict's"),
    ("division by 255 twice in infer", in_infer(_SCALED, "img = (img * np.float32(1.0 / 255.0) - mean) / std / 255\n"),
     "network input", "scale_255", "infer's numbers are 1/255 of predict's"),
    ("reshape for transpose in infer",
     in_infer(_CHW, 'return img.reshape((3, *img.shape[:2])).astype("float32")'),
     "network input", "layout", "reshape"),
    ("nearest neighbours in infer's resize", known("classifier", "another resize in infer"),
     "network input", "interpolation", "with PIL nearest"),
    ("OpenCV's resize in infer",
     together(in_infer("import numpy as np\n", "import cv2\nimport numpy as np\n"),
              in_infer(_RESIZED, _RESIZED.replace("img.resize(", "Image.fromarray(cv2.resize(np.array(img), ")
                       .replace(", Image.BILINEAR)", "))"))),
     "network input", "interpolation", "with cv2 linear"),
    ("another short side in infer", known("classifier", "another size in infer"),
     "network input", "resize", "infer resizes the short side to 32"),
    ("infer squashes the image", in_infer(_RESIZED, "img = img.resize((32, 32), Image.BILINEAR)\n"),
     "network input", "resize", "infer resizes to 32 x 32 with PIL bilinear"),
    ("infer crops the corner", together(in_infer(_LEFT, "left = 0"), in_infer(_LEFT.replace("left", "top")
     .replace("(w ", "(h "), "top = 0")),
     "network input", "crop", "further up and"),
    ("infer turns images as EXIF says, after decoding",
     together(turned_images, in_infer("from PIL import Image\n", "from PIL import Image, ImageOps\n"),
              in_infer(_OPENED, 'img = ImageOps.exif_transpose(Image.open(f)).convert("RGB")\n')),
     "network input", "exif", "the file states the EXIF orientation 6, and only infer turns it"),
    ("infer mirrors the image", behind(_RESIZED, "img = img.transpose(Image.FLIP_LEFT_RIGHT)"),
     "network input", "mirrored", "the image is mirrored"),
    ("infer turns the image grey, after decoding",
     in_infer(_OPENED, 'img = Image.open(f).convert("L").convert("RGB")\n'),
     "network input", "grey", "infer's image is grey"),
    ("BGR and another mean in infer",
     together(known("classifier", "BGR in infer"), known("classifier", "another mean in infer")),
     "network input", "bgr", "infer has mean 0.5"),
    # ---- weights
    ("export of another epoch", known("classifier", "export of another epoch"),
     "weights", "other_epoch", "they are those of epoch_5.pdparams"),
    ("no weights loaded in the export", in_export(_LOADED, ""),
     "weights", "unloaded", "the export holds an initialisation, not latest.pdparams"),
    ("another number of classes in the export", option("export", "--num-classes=5"),
     "weights", "partly_unloaded", "classifier.weight is [64, 3] in the file and [64, 5] in the export"),
    ("the classifier is initialised after loading in the export",
     in_export(_LOADED, _LOADED + "    model.classifier = nn.Linear(64, args.num_classes)\n"),
     "weights", "partly_unloaded", "classifier.weight"),
    ("one weight changed in the export",
     in_export(_LOADED, _LOADED + "    weight = model.classifier.weight.numpy()\n    weight[5, 1] += 0.01\n"
               "    model.classifier.weight.set_value(weight)\n"),
     "weights", "one_changed", "at [5, 1], "),
    ("weights rounded to half precision in the export",
     in_export(_LOADED, "    state = paddle.load(args.pretrained)\n"
               "    model.set_state_dict({name: value.astype('float16')"
               ".astype('float32') for name, value in state.items()})\n"),
     "weights", "precision", "rounded to half precision"),
    ("no weights loaded in predict", known("classifier", "weights not loaded in predict"),
     "weights", "predict_unloaded", "predict"),
    ("no weights loaded in eval", known("classifier", "weights not loaded in eval"),
     "weights", "predict_unloaded", "evaluate"),
    ("infer loads another model",
     lambda trial: _other_folder(trial),
     "weights", "infer_other_model", "other/inference.pdmodel"),
    # ---- network
    ("no softmax in the export", known("classifier", "softmax missing in the export"),
     "network", "softmax_missing", "softmax is missing in the exported model"),
    ("softmax over the batch in the export", in_export("nn.Softmax()", "nn.Softmax(axis=0)"),
     "network", "attribute", "the axis of softmax"),
    ("sigmoid for softmax in the export", in_export("nn.Softmax()", "nn.Sigmoid()"),
     "network", "other_operator", "sigmoid 'sigmoid_0.tmp_0' where the network ran softmax of layer '1'"),
    ("dropout left on in the export", known("classifier", "dropout left on in the export"),
     "network", "dropout", "dropout was left in training mode in the export"),
    ("batch norm's own switch in the export",
     in_export("    model.eval()\n", "    model.eval()\n    for layer in model.sublayers():\n"
               "        if isinstance(layer, nn.BatchNorm2D):\n            layer._use_global_stats = False\n"),
     "network", "batch_norm", "batch norm was left in training mode in the export"),
    ("a random operator in the export",
     edit("mininet.py", "        x = self.avgpool(x)\n", "        x = self.avgpool(x)\n"
          "        if not paddle.in_dynamic_mode():\n            x = x + paddle.randn([1]) * 0.1\n"),
     "network", "random", "the export has a random operator: gaussian_random"),
    ("predict in training mode", known("classifier", "dropout left on in predict"),
     "network", "training_mode", "in predict the network was in training mode"),
    ("a dead network", known("classifier", "a dead network"),
     "network", "dead", "they do not depend on the image"),
    # ---- post-processing
    ("softmax twice in infer",
     in_infer("class_id = x.argmax()\n", "x = np.exp(x) / np.exp(x).sum()\n        class_id = x.argmax()\n"),
     "post-processing", "softmax", "twice"),
    ("ids from 1 on in infer", in_infer("return class_id, x[class_id]", "return class_id + 1, x[class_id]"),
     "post-processing", "labels", "ids are shifted by 1"),
]  # fmt: skip


def _other_folder(trial):
    """A copy of the model with other weights, which infer gets."""
    trial.more["export"] = (
        f"--save-inference-dir={trial.out}/other",
        f"--pretrained={trial.out}/train/epoch_5.pdparams",
    )
    assert trial.run("export") == 0
    trial.more = {"infer": (f"--model-dir={trial.out}/other",)}
    return "infer"


DETECTOR = [
    ("BGR in infer", known("detector", "BGR in infer"),
     "network input", "bgr", "the channels are in reverse order (BGR for RGB)"),
    ("another mean in infer", known("detector", "another mean in infer"),
     "network input", "mean_std", "infer has mean 0.5 and std 0.229, 0.224, 0.225"),
    ("nearest neighbours in infer's resize", known("detector", "another resize in infer"),
     "network input", "interpolation", "infer resizes to 32 x 32 with cv2 nearest"),
    ("is_scale forgotten in infer's config", edit("MODEL/infer_cfg.yml", "is_scale: true", "is_scale: false"),
     "network input", "scale_255", "infer's numbers are 255 times predict's"),
    ("x and y of scale_factor exchanged in infer",
     edit(STEPS, "np.array([scale_y, scale_x])", "np.array([scale_x, scale_y])"),
     "network input", "other_input", "scale_factor is not: its numbers are in the other order"),
    ("scale_factor of 1 in infer", edit(STEPS, "np.array([scale_y, scale_x])", "np.array([1, 1])"),
     "network input", "other_input", "[1, 1] in infer"),
    ("scale_factor the wrong way round in infer", edit(STEPS, "np.array([scale_y, scale_x])",
                                                       "np.array([1 / scale_y, 1 / scale_x])"),
     "network input", "other_input", "infer's are 1 / predict's"),
    ("another epoch in the export", known("detector", "export of another epoch"),
     "weights", "other_epoch", "they are those of 4.pdparams"),
    ("no weights loaded in the export", in_export('    model.set_state_dict(paddle.load(cfg["weights"]))\n', ""),
     "weights", "unloaded", "the export holds an initialisation, not model_final.pdparams"),
    ("no weights loaded in predict", known("detector", "weights not loaded in predict"),
     "weights", "predict_unloaded", "predict"),
    ("no weights loaded in eval", known("detector", "weights not loaded in eval"),
     "weights", "predict_unloaded", "evaluate"),
    ("boxes scaled wrongly in the export", known("detector", "boxes scaled wrongly in the export"),
     "network", "attribute", "the scale of scale"),
    ("another stride in the export", option("export", "TinyDet.stride=8"),
     "network", "attribute", "the scale of scale"),
    ("fewer boxes in the export", option("export", "TinyDet.topk=10"),
     "network", "attribute", "the k of top_k_v2"),
    ("a larger window for peaks in the export",
     edit("tinydet/model.py", "kernel_size=3, stride=1, padding=1)",
          "kernel_size=3 if paddle.in_dynamic_mode() else 5, stride=1, padding=1 if paddle.in_dynamic_mode() else 2)"),
     "network", "attribute", "of pool2d 'pool2d_0.tmp_0' is ["),
    ("a dead network", known("detector", "a dead network"),
     "network", "dead", "they do not depend on the image"),
    ("labels in another order in infer's config",
     edit("MODEL/infer_cfg.yml", "- bird\n- flower\n", "- flower\n- bird\n"),
     "post-processing", "labels", "the label file has another order"),
    ("another threshold in infer", option("infer", "--threshold=0.5"),
     "post-processing", "threshold", "another threshold"),
]  # fmt: skip

PROJECTS = [Planted("classifier", *one) for one in CLASSIFIER] + [Planted("detector", *one) for one in DETECTOR]
