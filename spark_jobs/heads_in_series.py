"""The heads of one acquisition that a camera stored as a series each: which series they are, and whether that is known."""

from collections.abc import Callable, Sequence

from messages import because
from spark_jobs.folder import Series
from spark_jobs.procedures.heads import apart, detector_item, heads_of
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["compared", "groups_of_heads"]

# procedures that compare heads, and whether these acquired at once: of a sensitivity the decay is taken off
COMPARED = {"planar_uniformity": True, "centre_of_rotation": True, "sensitivity": False}
MOST_HEADS = 4


def groups_of_heads(series: Sequence[Series]) -> dict[int, list[int]]:
    """Return for each series of one object of a gamma camera the numbers of those of its study that may hold another head, itself among them.

    Series without a study or of several objects stand alone and are left out, as are studies with more such series than heads.
    """
    together: dict[tuple[object, ...], list[int]] = {}
    for k, one in enumerate(series):
        if one.head.modality == "NM" and one.head.study_uid and one.camera is not None and len(one.sources) == 1:
            together.setdefault((one.head.study_uid, *one.camera), []).append(k)
    return {k: group for group in together.values() if 1 < len(group) <= MOST_HEADS for k in group}


def compared(
    images: Sequence[list[Instance]], alone: Sequence[list[Result]], measure: Callable[[list[Instance]], list[Result]]
) -> tuple[list[Result] | None, list[list[str]]]:
    """Return the results of the heads measured together, or None and notes for each series that name the others and why they were not.

    Parameters
    ----------
    images, alone
        Images of each series, and what it gave by itself.
    """
    silent: list[list[str]] = [[] for _ in images]
    if any(len(r) != 1 or r[0].procedure not in COMPARED for r in alone) or len({r[0].procedure for r in alone}) > 1:
        return None, silent
    every = [i for one in images for i in one]
    try:
        heads = heads_of(every)
        ids = [str(detector_item(h.instance, h.detector).get("DetectorID") or "") for h in heads]
        doubt = apart(heads, at_once=COMPARED[str(alone[0][0].procedure)])
    except Exception:  # each series gives its own reason
        return None, silent
    if all(ids) and len(set(ids)) == 1:
        return None, silent  # one head more than once
    if doubt is None:
        return measure(every), silent
    uids = [one[0].series_uid for one in images]
    return None, [
        [because("heads.other_series", series=", ".join(uids[:k] + uids[k + 1 :]), reason=doubt)] for k in range(len(uids))
    ]
