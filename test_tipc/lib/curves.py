"""Draw the loss, and the accuracy where the log has it, of a training as curves, also of one that is still running.

    python test_tipc/lib/curves.py output/small curves.png "title of the figure"

Takes the output folder of a training, its history.jsonl, or a log. Needs Matplotlib.
Exit code: 0 drawn, 1 the log cannot be read or the image cannot be written.
"""

import argparse

from draw import draw_curves
from script import atomic_write, run_main
from train_log import read_train_log


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="a folder, history.jsonl, or a log")
    parser.add_argument("image")
    parser.add_argument("title")
    args = parser.parse_args()
    log = read_train_log(args.log)
    with atomic_write(args.image, "wb") as stream:
        draw_curves(log, stream, args.title)


if __name__ == "__main__":
    run_main(main)
