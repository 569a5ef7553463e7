"""Fetch what a config names by its address: a file of weights, or an exported model in an archive.

    python test_tipc/lib/fetch.py https://server/MobileNetV1_pretrained.pdparams pretrain_models
    python test_tipc/lib/fetch.py https://server/MobileNetV1_infer.tar pretrain_models --unpack ./MobileNetV1_infer

The file goes to the folder, and stays there; a cut or a kill is continued at the next call (see download.py for what is
checked). --unpack PATH unpacks the folder of that name in the archive to PATH, unless PATH is there already.
Exit code: 0 it is there, 1 not (one line says why, and where to put the file by hand).
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from download import DownloadError, download
from script import UserError, run_main
from unpack import unpack


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("folder")
    parser.add_argument("--unpack", metavar="PATH", type=Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.unpack and os.path.lexists(args.unpack):
        return
    try:
        path = download(args.address, args.folder)
    except DownloadError as error:
        raise UserError(error) from error
    if args.unpack:
        args.unpack.parent.mkdir(parents=True, exist_ok=True)
        try:
            unpack(path, args.unpack.name, args.unpack.parent)
        except UserError as error:
            raise UserError(f"{error}; delete {path} to download it again") from error
        print(f"unpacked {path} to {args.unpack}")


if __name__ == "__main__":
    run_main(main)
