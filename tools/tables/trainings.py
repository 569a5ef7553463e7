"""A table of trainings that differ in their backbone: its figures, kept in a JSON file, and its rows in a document.

What tools/tables/det_table.py and rec_table.py have in common: each describes its own table with a `Table`.
"""

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.device import choose_export_format
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from ppcls_lite.utils.log import setup_logging

EVIDENCE = REPO / "test_log"
MOST_MB = 25.0  # of one file of weights
# key, heading, format
COST = (
    ("params_m", "parameters (M)", "{:.2f}"),
    ("flops_m", "FLOPs (M)", "{:.0f}"),
    ("cpu_ms", "CPU (ms)", "{:.1f}"),
    ("file_mb", "weights (MB)", "{:.1f}"),
)
DIFFERS = ("differs", "hyper-parameters that differ", "{}")


@dataclass(frozen=True)
class Table:
    """One table: what it is of, and how it is shown.

    Attributes:
        prefix: of the trainings' names: `CenterNet` for CenterNet_<Backbone>.
        script: that makes the trainings.
        kept, config: the file of the figures, and the config of the trainings.
        begin, end: the lines of a document that are around the table.
        columns: (key, heading, format) of each figure.
        picture: (file, text of its link) in the folder of the evidence.
        note: what the figures are, a sentence.
        measuring: the function without arguments that imports `measure_training(config, folder, evidence)`.
    """

    prefix: str
    script: str
    kept: Path
    config: Path
    begin: str
    end: str
    columns: tuple
    picture: tuple
    note: str
    measuring: Callable

    def read_kept(self, path=None):
        """The measurements that are kept: {"versions", "schedule", "backbones": {name: {...}}}."""
        path = path or self.kept
        if not path.is_file():
            raise UserError(f"{path}: nothing was measured yet; see --measure")
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            for row in kept["backbones"].values():
                for key, _, form in self.columns:
                    form.format(row[key])
            return kept
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: cannot be read ({error!r}); delete it, and run --measure") from error

    def measure(self, folder, config_path=None, kept_path=None, evidence=EVIDENCE, weights=None):
        """Measure every finished training below `folder` and keep the figures; the others stay as they were kept."""
        config_path, kept_path = config_path or self.config, kept_path or self.kept
        trained = sorted(path.parent for path in Path(folder).glob(f"{self.prefix}_*/trained"))
        if not trained:
            raise UserError(f"{folder}: no finished training; {self.script} makes them")
        choose_export_format()
        with quick_import():
            from tools.tables.training_evidence import describe_schedule

            measure_training = self.measuring()
        import paddle

        kept = self.read_kept(kept_path) if kept_path.is_file() else {"backbones": {}}
        schedule = describe_schedule(load_config(config_path))
        if kept.get("schedule") != schedule:
            kept["backbones"] = {}  # rows of another schedule are not comparable
        kept.update(schedule=schedule, versions=f"Paddle {paddle.__version__}")
        for path in trained:
            name = path.name.partition("_")[2]
            options = [f"Arch.Backbone.name={name}", f"Global.pretrained_model={path / 'best_model'}"]
            config = load_config(config_path, options)
            print(f"measuring {path.name}", file=sys.stderr)
            if weights:
                kept_weights = self.weights_path(name, weights)
                keep_weights(config, kept_weights)
                config["Global"]["pretrained_model"] = str(kept_weights)
            kept["backbones"][name] = measure_training(config, path, Path(evidence) / path.name)
            kept["backbones"] = dict(sorted(kept["backbones"].items(), key=lambda item: item[1]["flops_m"]))
            with atomic_write(kept_path) as stream:
                json.dump(kept, stream, indent=1)
                stream.write("\n")

    def weights_path(self, name, folder="pretrain_models"):
        """Where the weights of a training are kept, less `.pdparams` if that is one file; the chains name it so."""
        return Path(folder, f"{self.prefix}_{name}")

    def find_weights(self, name):
        """Where they are from the root of the repository, None where none were kept."""
        path = self.weights_path(name)
        found = [place for place in (Path(f"{path}.pdparams"), path) if (REPO / place).exists()]
        return found[0] if found else None

    def as_markdown(self, kept):
        """The table and a note on how to read it; `kept` None: nothing was measured."""
        if kept is None:
            return "Not measured yet.\n"
        heading = ["backbone", *(title for _, title, _ in self.columns), "evidence"]
        table = [heading, ["---", *["---:"] * (len(heading) - 2), "---"]]
        file, text = self.picture
        for name, row in kept["backbones"].items():
            log = f"../test_log/{self.prefix}_{name}"
            links = f"[log]({log}/log_train.txt), [curves]({log}/curves.png), [{text}]({log}/{file})"
            if self.find_weights(name):
                links += f", [weights](../{self.find_weights(name)})"
            table.append([name, *(form.format(row[key]) for key, _, form in self.columns), links])
        lines = ["| " + " | ".join(line) + " |" for line in table]
        return "\n".join([*lines, "", f"{kept['schedule']} {kept['versions']}. {self.note}"]) + "\n"

    def main(self, description, arguments=None):
        """The command line of a script with this table."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--measure", metavar="FOLDER", help="folder of the trainings")
        parser.add_argument("--update", metavar="FILE", type=Path, nargs="+", help="documents with the table")
        parser.add_argument("--kept", metavar="FILE", type=Path, default=self.kept, help="where the figures are kept")
        parser.add_argument("--config", metavar="FILE", default=self.config, help="of the trainings")
        parser.add_argument("--evidence", metavar="FOLDER", default=EVIDENCE, help="where the evidence goes, test_log")
        parser.add_argument("--weights", metavar="FOLDER", help="where the weights are kept, pretrain_models")
        args = parser.parse_args(arguments)
        setup_logging(stream=sys.stderr)
        if args.measure:
            self.measure(args.measure, args.config, args.kept, args.evidence, args.weights)
        block = self.as_markdown(self.read_kept(args.kept))
        for path in args.update or [None]:
            show_block(path, self.begin, self.end, block)


def keep_weights(config, target):
    """Write the weights of the config to `target`.pdparams as they are, or, if too large, to the folder `target`.

    What was kept there before is replaced.
    """
    from ppcls_lite.infer.export import save_persistable

    source, file = Path(f"{config['Global']['pretrained_model']}.pdparams"), Path(f"{target}.pdparams")
    shutil.rmtree(target, ignore_errors=True)
    if source.stat().st_size <= MOST_MB * 1e6:
        with open(source, "rb") as weights, atomic_write(file, "wb") as stream:
            shutil.copyfileobj(weights, stream)
    else:
        save_persistable(config, target, separate=True, float16=True)
        file.unlink(missing_ok=True)
