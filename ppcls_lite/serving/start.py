"""The command line of a service's script, and its start."""

import argparse

from ppcls_lite.serving.config import load_service_config
from ppcls_lite.serving.request import limit_opencv
from ppcls_lite.utils import checks
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.scratch import ScratchFolder


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
    parser.add_argument("--processes", type=checks.argument(), help="processes that share the ports; default: 1")
    parser.add_argument("--check", action="store_true", help="check the config and load the models, and serve nothing")
    args = parser.parse_args()
    overrides = args.opt + ([f"processes={args.processes}"] if args.processes else [])
    settings = load_service_config(args.config, overrides)
    setup_logging()
    limit_opencv(settings.limits)
    if args.check:
        check(settings, build_pipeline)
        print(f"{args.config}: {', '.join(settings.names)} can be served")
        return
    from ppcls_lite.serving.server import Server
    from ppcls_lite.serving.supervisor import Supervisor, own_command, own_place

    def read():
        again = load_service_config(args.config, overrides)
        return again.config, again.limits

    place = own_place()
    if settings.processes > 1 and place is None:
        with ScratchFolder() as folder:
            Supervisor(settings, own_command(), folder).run()
    else:
        Server(settings, build_pipeline, read, place).run()


def check(settings, build_pipeline):
    """Load the models of a config and let them predict; UserError says what cannot be used. Nothing listens."""
    from ppcls_lite.serving.access_log import AccessLog
    from ppcls_lite.serving.models import Models
    from ppcls_lite.serving.paddle_serving import quiet_logs

    quiet_logs()
    AccessLog(settings.access_log, settings.access_log_file).close()
    Models(settings.config, settings.limits, build_pipeline).close()
