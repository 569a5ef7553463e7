"""The audit of bundles, for check_submission.sh: what a reviewer checks, from files alone.

A subject of checks is a module here; importing this package registers all checks (see `registry`), in the order of the
report. `bundle` and `reading` open files that nobody may be trusted to have written well; `repository` and `compare`
have the other two kinds of subjects.
"""

from audit import whole, claims, logs, training, accuracy, answers, lineage, sources, fresh  # noqa: F401, I001
from audit import repository, documents, compare  # noqa: F401
