#!/usr/bin/env python3
"""Write the beginning of a network of your own: its file, training config, chain configs, document and test.

    python tools/new_model.py MyNet
    python tools/new_model.py MyNet_x1_0 --from MobileNetV3_small_x1_0

Everything runs as it is: the network has five convolutions, or is a copy of the registered one after --from. Asks
nothing, replaces nothing, and writes all files or none; a run that was killed is taken back by the next one. Neither
Paddle nor another package is needed. `bash test_tipc/new_model.sh` starts this.
Exit code: 0 written, 1 nothing was written (one line says why), 2 wrong options.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.together import take_back_interrupted, write_together
from tools.model_files import ModelFiles
from tools.model_names import Names, check_free

REPO = Path(__file__).resolve().parents[1]


def write_model(root, name, source=None):
    """Write all files of the network `name`, from the registered network `source` if it is given.

    Returns (paths of the new files, paths of the changed ones, the Names). UserError when anything is in the way.
    """
    names = Names.of(name)
    check_free(root, names)
    files = ModelFiles(root, names, source)
    new, changed = files.new(), files.changed()
    write_together(root, new, changed)
    return list(new), list(changed), names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the name of the network, such as MyNet or MyNet_x1_0")
    parser.add_argument("--from", dest="source", metavar="NETWORK", help="begin with a copy of this registered network")
    args = parser.parse_args()
    if take_back_interrupted(REPO):
        print("note: what an interrupted run had begun was taken back")
    new, changed, names = write_model(REPO, args.name, args.source)
    print(f"written, for {names.name}:")
    for path in new:
        print(f"  {path}")
    print("changed:")
    for path in changed:
        print(f"  {path}")
    print("next:")
    print(f"  bash test_tipc/test_train_inference_python.sh {names.config} lite_train_lite_infer")
    print(f"  bash tests/run.sh {names.test} tests/arch/test_networks.py -k 'test_{names.module} or {names.name}'")
    print(f"  bash test_tipc/run_all.sh lite_train_lite_infer {names.name} --chains all --evidence")


if __name__ == "__main__":
    run_main(main)
