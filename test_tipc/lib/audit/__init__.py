"""The audit of bundles, for check_submission.sh: what a reviewer checks, from files alone.

A subject of checks is a module here; importing this package registers all checks (see `registry`). `bundle` and `reading`
open files that nobody may be trusted to have written well; `repository` and `compare` have the other two subjects.
"""

from audit import (  # noqa: F401  in the order of the report
    whole,
    logs,
    training,
    accuracy,
    answers,
    lineage,
    sources,
    fresh,
    repository,
    documents,
    compare,
)  # isort: skip
