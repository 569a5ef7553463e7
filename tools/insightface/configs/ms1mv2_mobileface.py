# MobileFaceNet_128 with ArcFace on MS1M_v2, under the names and with the numbers of InsightFace's config of this name.
# tools/insightface/train.py reads these lines as data; nothing here is run.
from easydict import EasyDict as edict

config = edict()
config.backbone = "MobileFaceNet_128"
config.embedding_size = 128
config.is_static = False
config.sample_ratio = 1.0

config.train_unit = "epoch"
config.train_num = 25
config.warmup_num = 0
config.decay_boundaries = [10, 16, 22]
config.batch_size = 128

config.dataset = "MS1M_v2"
config.data_dir = "./MS1M_v2"
config.label_file = "./MS1M_v2/label.txt"
config.num_classes = 85742

config.log_interval_step = 100
config.output = "./MS1M_v2_arcface_MobileFaceNet_128_0.1"
config.max_num_last_checkpoint = 1
