"""Flags, reports and resuming of experiments: for those of biosnn and for your own scripts.

A script parses the shared flags and its own, does its work, and ends with one report:

>>> from biosnn import experiments
>>> def run() -> None:
...     args = experiments.parser("coin", "Toss a coin.").parse_args()
...     experiments.write_report(args, metrics={"heads": 0.5})
>>> if __name__ == "__main__":
...     experiments.main(run)  # doctest: +SKIP

Brian2, which takes seconds to import, is imported where it is needed: ``biosnn run`` and
``biosnn resume`` look experiments up here.

The report is ``DIR/results.json``, a table for the reader, and with ``--json`` one line of JSON,
the same object, as the last line of stdout.
"""

from biosnn.experiments.flag_check import FlagCheck
from biosnn.experiments.flags import UpTo, available, given, whole, without_effect
from biosnn.experiments.harness import (
    console_for,
    environment,
    main,
    parser,
    plain_data,
    save_figure,
    write_report,
)
from biosnn.experiments.registry import (
    experiment_names,
    find_experiment,
    find_script,
    noted_command,
    summary,
)
from biosnn.experiments.resumable import (
    add_resume_flags,
    add_run_flags,
    add_tensorboard_flag,
    begin,
    callbacks,
    fit_settings,
    interrupted_command,
)
from biosnn.experiments.stages import Parts
