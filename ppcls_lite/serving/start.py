"""The command line of a service's script, and its start."""

import argparse

from ppcls_lite.serving.config import load_service_config
from ppcls_lite.serving.request import limit_opencv
from ppcls_lite.utils.log import setup_logging


def run_service(description, default, build_pipeline):
    """Serve until a signal ends it, as the command line of a script says.

    Args:
        description: the head of the script, which `--help` prints.
        default: path of the config where the command line names none.
        build_pipeline: function from the operator's name and the operator of the requests to the last operator. It is
            called when OpenCV has its limits, and imports the operators that it makes: they import OpenCV.
    Raises UserError for a config, a model or a port that cannot be used.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", default=default, help=f"default: {default.name} beside this file")
    parser.add_argument(
        "-o", "--opt", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="replace values"
    )
    args = parser.parse_args()
    config, name, limits = load_service_config(args.config, args.opt)
    setup_logging()
    limit_opencv(limits)
    from ppcls_lite.serving.server import Service

    service = Service(name, limits, build_pipeline)
    service.prepare_pipeline_config(yml_dict=config)
    service.run_service()
