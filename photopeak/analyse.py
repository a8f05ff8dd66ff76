"""`photopeak analyse`: measure and judge images from files, with no server at all. What measures and judges is in `spark_jobs/`."""

import sys
from pathlib import Path

from messages import because, both

__all__ = ["analyse"]

JOINT = "\n  "  # between the English and the Chinese
DONE, NOT_ALL_MEASURED, USAGE = 0, 1, 2


def analyse(
    paths: list[Path], json: bool = False, picture: Path | None = None, sr: Path | None = None, pdf: Path | None = None
) -> int:
    """Measure the files, or the files of the folders, print table or JSON, and return the exit code.

    Parameters
    ----------
    picture, pdf
        Folders for a picture, and a page, of each result.
    sr
        Folder for a DICOM Structured Report of each series.

    Returns
    -------
    int
        0 everything measured (or indicative), 1 something not measured or not written, 2 nothing to look at: no path exists, or the folders
        hold no files.
    """
    from spark_jobs.answers import Outputs, answers, is_measured
    from spark_jobs.folder import Unmeasurable, files_of
    from spark_jobs.outputs.table import print_json, print_table

    inputs = list(files_of(paths))
    nothing = [i for i in inputs if isinstance(i, Unmeasurable) and i.named]
    if len(nothing) == len(inputs):
        said = [f"{i.source}: {both(i.reason, JOINT)}" for i in nothing]
        print("\n".join(said) or both(because("command.no_path"), JOINT), file=sys.stderr)
        return USAGE
    for folder in (picture, sr, pdf):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            print(because("command.folder_not_writable", folder=folder, problem=exc.strerror), file=sys.stderr)
            return USAGE
    show = print_json if json else print_table
    measured = [is_measured(row) for row in show(answers(inputs, Outputs(picture, sr, pdf)))]
    return DONE if all(measured) else NOT_ALL_MEASURED
