"""The keys of PaddleClas's two config schemas and of `inference.yml`, with their types; others need no check here.

A section's own options (a network's, a transform's) are checked by the thing that takes them.
"""

PATH = str  # a key that may be null, and then names a file or a folder

_LOADER = {
    "dataset": dict,
    "sampler": dict,
    "loader": dict,
}

_POSTPROCESS = {
    "name": str,
    "topk": int,
    "class_id_map_file": PATH,
    "delimiter": str,
    "label_list": list,
    "threshold": float,
    "default_label_index": int,
    "label_0": str,
    "label_1": str,
    "feature_normalize": bool,
}

TRAIN = {
    "": {
        "Global": dict,
        "AMP": dict,
        "Arch": dict,
        "Loss": dict,
        "Optimizer": (dict, list),
        "DataLoader": dict,
        "Infer": dict,
        "Metric": dict,
        "profiler_options": dict,
        "EMA": dict,
        "Slim": dict,
    },
    "Global": {
        "checkpoints": PATH,
        "pretrained_model": PATH,
        "output_dir": PATH,
        "device": str,
        "save_interval": int,
        "eval_during_train": bool,
        "eval_interval": int,
        "epochs": int,
        "print_batch_step": int,
        "use_visualdl": bool,
        "image_shape": list,
        "save_inference_dir": PATH,
        "export_format": PATH,
        "to_static": bool,
        "use_dali": bool,
        "class_num": int,
        "seed": int,
        "update_freq": int,
        "eval_mode": str,  # these five of recognition
        "feature_normalize": bool,
        "feature_binarize": str,
        "retrieval_feature_from": str,
        "re_ranking": bool,
    },
    "EMA": {"decay": float},
    "AMP": {
        "use_amp": bool,
        "use_fp16_test": bool,
        "scale_loss": float,
        "use_dynamic_loss_scaling": bool,
        "use_promote": bool,
        "level": str,
    },
    "Arch": {
        "name": str,
        "class_num": int,
        "pretrained": (bool, str),
        "use_ssld": (bool, str),
        "dropout_prob": float,
        "lr_mult_list": list,
        "Backbone": dict,  # these three of detectors and recognizers
        "Neck": dict,
        "Head": dict,
        "max_boxes": int,  # of detectors
        "BackboneStopLayer": dict,  # these three of recognizers
        "infer_output_key": str,
        "head_feature_from": str,
        "use_sync_bn": bool,
        "models": list,  # these four of a knowledge distillation
        "pretrained_list": list,
        "freeze_params_list": list,
        "infer_model_name": str,
    },
    "Arch.Backbone": {
        "name": str,
        "pretrained": (bool, str),
        "use_ssld": (bool, str),
        "out_indices": list,  # of detectors
        "class_num": int,  # the others of recognizers
        "dropout_prob": float,
        "lr_mult_list": list,
        "stem_act": str,
        "feature_dim": int,
        "num_features": int,
        "input_size": int,
    },
    "Arch.BackboneStopLayer": {"name": str, "output_dim": int},
    "Arch.Neck": {
        "channels": int,  # of detectors
        "name": str,
        "embedding_size": int,
        "class_num": int,
        "num_features": int,
        "weight_attr": dict,
        "bias_attr": (bool, dict),
    },
    "Arch.Head": {
        "channels": int,  # of detectors
        "name": str,
        "embedding_size": int,
        "class_num": int,
        "margin": float,
        "scale": float,
        "easy_margin": bool,
        "weight_attr": dict,
        "bias_attr": (bool, dict),
    },
    "Loss": {"Train": list, "Eval": list},
    "Optimizer": {
        "name": str,
        "momentum": float,
        "use_nesterov": bool,
        "beta1": float,
        "beta2": float,
        "epsilon": float,
        "clip_norm": float,
        "lr": dict,
        "regularizer": dict,
        "weight_decay": float,
        "no_weight_decay_name": str,
        "one_dim_param_no_weight_decay": bool,
        "multi_precision": bool,
        "lazy_mode": bool,
        "rho": float,
    },
    "Optimizer.lr": {
        "name": str,
        "learning_rate": float,
        "warmup_epoch": float,
        "warmup_start_lr": float,
        "eta_min": float,
        "by_epoch": bool,
        "decay_epochs": list,
        "values": list,
        "step_size": float,
        "gamma": float,
        "milestones": list,
        "end_lr": float,
        "power": float,
        "last_epoch": int,
        "verbose": bool,
    },
    "Optimizer.regularizer": {"name": str, "coeff": float},
    "DataLoader": {"Train": dict, "Eval": dict},
    "DataLoader.Train": _LOADER,
    "DataLoader.Eval": {**_LOADER, "Query": dict, "Gallery": dict},  # the last two of recognition
    "DataLoader.Eval.Query": _LOADER,
    "DataLoader.Eval.Gallery": _LOADER,
    "Infer": {"infer_imgs": PATH, "batch_size": int, "transforms": list, "PostProcess": dict, "output_dir": PATH},
    "Infer.PostProcess": _POSTPROCESS,
    "Metric": {"Train": list, "Eval": list},
    "Slim": {"quant": dict, "prune": dict, "ptq": dict},
    "Slim.quant": {"name": str},
    "Slim.prune": {"name": str, "pruned_ratio": float},
    "Slim.ptq": {
        "images": int,
        "seed": int,
        "method": str,
        "per_channel": bool,
        "reduce_range": bool,
        "float_first": bool,
        "float_last": bool,
    },
}
for _mode in ("Train", "Eval", "Eval.Query", "Eval.Gallery"):
    TRAIN[f"DataLoader.{_mode}.dataset"] = {
        "name": str,
        "image_root": PATH,
        "cls_label_path": PATH,
        "transform_ops": list,
        "batch_transform_ops": list,
        "delimiter": str,
        "relabel": bool,
        "skip_unreadable": bool,
        "dataset_dir": PATH,  # these five of detection sets
        "image_dir": PATH,
        "anno_path": PATH,
        "allow_empty": bool,
        "bad_boxes": str,
        "backend": str,
    }
    TRAIN[f"DataLoader.{_mode}.sampler"] = {
        "name": str,
        "batch_size": int,
        "drop_last": bool,
        "shuffle": bool,
        "num_instances": int,  # these six of samplers of identities
        "sample_per_id": int,
        "sample_method": str,
        "max_iters": int,
        "id_list": list,
        "ratio": list,
    }
    TRAIN[f"DataLoader.{_mode}.loader"] = {"num_workers": int, "use_shared_memory": bool}

DEPLOY = {
    "": {"Global": dict, "PreProcess": dict, "PostProcess": dict},
    "Global": {
        "infer_imgs": PATH,
        "inference_model_dir": PATH,
        "batch_size": int,
        "num_workers": int,
        "save_file": PATH,
        "save_log_path": PATH,
        "engine": str,
        "use_onnx": bool,
        "use_gpu": bool,
        "gpu_mem": int,
        "gpu_id": int,
        "enable_mkldnn": bool,
        "cpu_num_threads": int,
        "ir_optim": bool,
        "use_tensorrt": bool,
        "use_fp16": bool,
        "use_int8": bool,
        "enable_benchmark": bool,
        "enable_profile": bool,
        "benchmark": bool,
        "output_dir": PATH,
    },
    "PreProcess": {"transform_ops": list},
    "PostProcess": _POSTPROCESS,
}

_INDEX = {
    "index_method": str,
    "image_root": PATH,
    "index_dir": PATH,
    "data_file": PATH,
    "index_operation": str,
    "delimiter": str,
    "dist_type": str,
    "embedding_size": int,
    "batch_size": int,
    "return_k": int,
    "score_thres": float,
    "hamming_radius": float,
}

RECOGNITION = {  # of predict_rec.py and build_gallery.py
    **DEPLOY,
    "": {
        **DEPLOY[""],
        "RecPreProcess": dict,  # these two are PaddleClas's names of PreProcess and PostProcess
        "RecPostProcess": dict,
        "DetPreProcess": dict,  # these two of a detector that PaddleClas may run before
        "DetPostProcess": dict,
        "IndexProcess": dict,
    },
    "Global": {**DEPLOY["Global"], "rec_inference_model_dir": PATH, "feature_normalize": bool},
    "RecPreProcess": DEPLOY["PreProcess"],
    "RecPostProcess": DEPLOY["PostProcess"],
    "IndexProcess": _INDEX,
}

MODEL = {  # inference.yml beside an exported model
    "": {"Global": dict, "PreProcess": dict, "PostProcess": dict},
    "Global": {
        "model_name": str,
        "image_shape": list,
        "exported_with": str,
        "bytes": dict,
        "int8": str,
        "calibration": str,
    },
    "PreProcess": DEPLOY["PreProcess"],
    "PostProcess": DEPLOY["PostProcess"],
}
