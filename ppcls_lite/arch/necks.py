"""What is between a recognizer's backbone and its head: features to features. The first is a head, too."""

from paddle import nn
from paddle.nn.initializer import Constant, XavierNormal

from ppcls_lite.arch.parameters import param_attr
from ppcls_lite.arch.registry import HEADS, NECKS
from ppcls_lite.utils import checks


@HEADS.register
@NECKS.register
class FC(nn.Layer):
    """A linear layer, [N, embedding_size] to [N, class_num]: as a neck to the features, as a head to scores.

    `weight_attr`, `bias_attr`: how they begin and learn (see parameters.py); `bias_attr: False` for no bias.
    """

    takes = "embedding_size"  # the option that is the number of features of its input

    def __init__(self, embedding_size, class_num, weight_attr=None, bias_attr=None):
        super().__init__()
        self.embedding_size = checks.whole("embedding_size", embedding_size)
        self.class_num = self.feature_size = checks.whole("class_num", class_num)
        self.fc = nn.Linear(
            self.embedding_size,
            self.class_num,
            weight_attr=param_attr("weight_attr", weight_attr, XavierNormal()),
            bias_attr=param_attr("bias_attr", bias_attr, Constant(0.0), may_miss=True),
        )

    def forward(self, x, labels=None):
        return self.fc(x)


@NECKS.register
class BNNeck(nn.Layer):
    """BatchNorm over features [N, num_features] (Luo et al., "Bag of Tricks and A Strong Baseline for Deep Person
    Re-identification", 2019, https://arxiv.org/abs/1903.07071, section 3.6).

    `weight_attr`, `bias_attr` as for FC; with `bias_attr: False` the bias stays 0.
    """

    takes = "num_features"

    def __init__(self, num_features, weight_attr=None, bias_attr=None):
        super().__init__()
        self.feature_size = checks.whole("num_features", num_features)
        self.feat_bn = nn.BatchNorm1D(
            self.feature_size,
            momentum=0.9,
            epsilon=1e-5,
            weight_attr=param_attr("weight_attr", weight_attr, Constant(1.0)),
            bias_attr=param_attr("bias_attr", bias_attr, Constant(0.0), may_miss=True),
        )

    def forward(self, x):
        return self.feat_bn(x)
