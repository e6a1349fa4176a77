"""Loading a subset by name from the first place that has it, and downloading from the last of these places, the hub."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nndynbench.names import check_name
from nndynbench.storage.hub import adopt, published_versions, read_origin
from nndynbench.storage.manifest import TIERS, TierName, read_manifest
from nndynbench.storage.packed import PackedFolder
from nndynbench.storage.places import (
    NotAtHandError,
    find,
    home,
    is_offline,
    not_at_hand,
    places,
    root_meant,
    to_regenerate,
    versions_at,
)
from nndynbench.storage.versions import version_numbers
from nndynbench.subsets.catalogue import catalogue, catalogue_entry, hub_repository, is_published, read_as
from nndynbench.subsets.reader import RICHER
from nndynbench.subsets.subset import Subset

if TYPE_CHECKING:
    import pandas as pd


class SupersededWarning(UserWarning):
    """An old version was loaded; names its successor and why it was needed.

    Examples
    --------
    >>> import warnings
    >>> import nndynbench
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", nndynbench.SupersededWarning)  # an old version is an error in here
    ...     zoo = nndynbench.load("digits-lenet")
    """


class UnreadableSubsetWarning(UserWarning):
    """A subset is at hand, but its manifest cannot be read; the others are listed without it."""


def load(name: str, *, version: str | None = None, root: str | Path | None = None, offline: bool | None = None) -> Subset:
    """Load a subset by name, such as ``load("digits-lenet")``.

    With ``root``, only that folder is searched. Otherwise the first of these places that has the subset is taken: the folder
    that ``NNDYNBENCH_HOME`` names, what is bundled in the package, what was downloaded, the hub. Unless a version is asked
    for, the highest one there is loaded. An earlier version with the same networks and tables is read as the catalogue's.

    For a subset on the hub, only its manifest is fetched, and each table when it is first used; for the larger tiers see
    `download`. ``offline`` keeps away from the hub, as the variable ``NNDYNBENCH_OFFLINE`` does. Loading never prompts.

    Raises
    ------
    UnknownNameError
        For a name that is neither in the catalogue nor a pack of one's own at these places; suggests a similar name.
    NotAtHandError
        If no place has it; names the command that regenerates it.

    Warns
    -----
    SupersededWarning
        For an old version; names its successor and the reason.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.load("digits-lenet").name
    'digits-lenet'
    """
    if root is not None and (meant := root_meant(name, root)) is not None:
        raise NotAtHandError(f"{root} is the own folder of {name}: root= is the folder that holds it, {meant}")
    if name not in catalogue():
        return _load_own(name, version, root)
    entry = catalogue_entry(name)
    found = find(name, version=version, root=root)
    if not found and version is not None:
        found = find(name, version=read_as(name, version), root=root)
    if not found:
        if root is not None:
            raise not_at_hand(name, version=version, root=root)
        try:
            found = [_from_hub(name, version, offline=offline)]
        except NotAtHandError as error:
            raise not_at_hand(name, version=version, root=None, why=str(error)) from error
    subset = Subset(found[0], also=found[1:], offline=offline)
    if (successor := entry.superseded.get(subset.version)) is not None:
        warnings.warn(
            f"{name} {subset.version} is superseded by {successor.by}: {successor.why}", SupersededWarning, stacklevel=2
        )
    return subset


def _load_own(name: str, version: str | None, root: str | Path | None) -> Subset:
    """A pack of one's own runs (`nndynbench.pack`), below ``root`` or the home folder."""
    more = (
        "" if root is not None else "a pack of your own needs its folder: --root FOLDER, or load(…, root=FOLDER) in Python"
    )
    check_name(name, [*catalogue(), *own_names(root)], what="subset", more=more)
    found = find(name, version=version, root=root)
    if not found:
        raise NotAtHandError(f"{name} {version} is not in {', '.join(map(str, places(root)))}")
    return Subset(found[0], also=found[1:], offline=True)


def own_names(root: str | Path | None = None) -> list[str]:
    """The packs of one's own runs below ``root``, or below the home folder without it."""
    there = places(root) if root is not None else [home()]
    folders = sorted({name for place in there for name in _folders_in(place)})
    return [name for name in folders if name not in catalogue() and find(name, root=root)]


def _folders_in(place: Path) -> list[str]:
    """The folders at a place; none if this user may not read it."""
    try:
        return [folder.name for folder in place.iterdir() if folder.is_dir()]
    except OSError:
        return []


def as_subset(subset: str | Subset) -> Subset:
    """A subset by its name or as it is; raises ValueError for anything else, and the errors of `load`."""
    if isinstance(subset, str):
        return load(subset)
    if not isinstance(subset, Subset):
        raise ValueError(f"a subset must be a name or what nndynbench.load returns, not {subset!r}")
    return subset


def download(
    name: str, *, tiers: Sequence[TierName] = ("networks",), version: str | None = None, offline: bool | None = None
) -> Subset:
    """Download tiers of a subset from the hub to the home folder, and load it. Files that are there and intact are kept.

    The tables (tier "networks") are always downloaded too. A tier that was not published is replaced by the one from which
    it can be derived. Unless a version is asked for, the highest published one is taken.

    Raises
    ------
    UnknownNameError
        For a name that is not a subset, or not a tier.
    NotAtHandError
        If the hub does not have the version or the tier, cannot be reached, or may not be contacted.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.download("digits-lenet", tiers=["graphs"], offline=True)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ...
    nndynbench.NotAtHandError: digits-lenet cannot be downloaded
    """
    catalogue_entry(name)
    for tier in tiers:
        check_name(tier, TIERS, what="tier")
    try:
        folder = PackedFolder(_from_hub(name, version, offline=offline), offline=offline)
    except NotAtHandError as error:
        wanted, at_hand = f"{name} {version}" if version else name, find(name)
        command = read_manifest(at_hand[-1]).training_command if at_hand else None
        why = f"{error}" if is_published() else f"{error}, and nothing was there when this version of the package was made"
        raise NotAtHandError(f"{wanted} cannot be downloaded: {why}; {to_regenerate(name, command=command)}") from error
    for tier in dict.fromkeys(("networks", *tiers)):
        richer = (tier, *RICHER.get(tier, ()))
        published = next((part for part in richer if part in folder.manifest.tiers), None)
        if published is None:
            held = ", ".join(folder.manifest.tiers)
            raise NotAtHandError(f"{name} {folder.manifest.version} was published without the tier {tier} (it has {held})")
        for file in folder.manifest.tiers[published].files:
            folder.path(file)
    return Subset(folder.folder, also=find(name, version=folder.manifest.version), offline=offline)


def subsets(*, root: str | Path | None = None) -> pd.DataFrame:
    """A table of all subsets of the catalogue, and of the packs of one's own below ``root``. The rows are named by subset;
    the columns are summary, version at hand, networks, regime, and tiers at hand. A tier that does not hold all networks
    is listed with the number that it holds.

    Warns
    -----
    UnreadableSubsetWarning
        For a subset whose manifest cannot be read, naming the file; it is listed as not at hand.

    Examples
    --------
    >>> import nndynbench
    >>> nndynbench.subsets().loc["digits-lenet", "networks"]
    np.int64(240)
    """
    import pandas as pd

    own = dict.fromkeys(own_names(root) if root is not None else (), "")
    summaries = {entry.name: entry.summary for entry in catalogue().values()} | own
    rows = [_row(name, summary, root) for name, summary in summaries.items()]
    return pd.DataFrame(rows, columns=["subset", "summary", "version", "networks", "regime", "tiers"]).set_index("subset")


def _row(name: str, summary: str, root: str | Path | None) -> dict[str, object]:
    """A subset's row of the list; the summary is its manifest's where there is no other."""
    row: dict[str, object] = {"subset": name, "summary": summary, "version": None, "networks": 0}
    if (subset := _readable(name, root)) is None:
        return row
    manifest = subset.manifest
    row |= {"version": manifest.version, "networks": manifest.networks, "regime": manifest.regime}
    tiers = ", ".join(f"{tier}{_part(subset, tier)}" for tier in subset.tiers)
    return row | {"summary": summary or manifest.summary, "tiers": tiers}


def _readable(name: str, root: str | Path | None) -> Subset | None:
    """A subset that is at hand, or None; warns if it is at hand but cannot be read."""
    if not (found := find(name, root=root)):
        return None
    try:
        return Subset(found[0], also=found[1:])
    except (ValueError, OSError) as reason:
        warnings.warn(f"{name} is left out: {reason}", UnreadableSubsetWarning, stacklevel=4)
        return None


def names_at_hand(root: str | Path | None = None) -> list[str]:
    """The catalogue's subsets that are at some place on this machine; with ``root``, those there and one's own packs."""
    own = own_names(root) if root is not None else []
    return [*(entry.name for entry in catalogue().values() if find(entry.name, root=root)), *own]


def names_with(tier: TierName, *, epoch: int | None = None, root: str | Path | None = None) -> list[str]:
    """The subsets at hand for which a tier can be read for every network; with ``epoch``, at that epoch."""
    readable = [subset for name in names_at_hand(root) if (subset := _readable(name, root)) is not None]
    return [each.name for each in readable if each.networks_in(tier, epoch=epoch) == each.manifest.networks]


def names_with_late_accuracy() -> list[str]:
    """The subsets at hand whose late epochs were measured on the test half, as their manifests say."""
    readable = [subset for name in names_at_hand() if (subset := _readable(name, None)) is not None]
    return [subset.name for subset in readable if subset.manifest.settings.get("late_epochs")]


def _part(subset: Subset, tier: TierName) -> str:
    """In words, for how many networks a tier can be read; empty if that is all of them."""
    held = subset.networks_in(tier)
    return "" if held == subset.manifest.networks else f" ({held} of {subset.manifest.networks})"


def _from_hub(name: str, version: str | None, *, offline: bool | None) -> Path:
    """The folder of a published version below the home folder, with at least its manifest; else an error that says why."""
    origins = {v: origin for v in versions_at(home(), name) if (origin := read_origin(home() / name / v)) is not None}
    downloaded = list(origins)
    if is_offline(offline):
        if downloaded and version in (None, *downloaded):
            return home() / name / (version or downloaded[-1])
        raise NotAtHandError("the hub is not contacted when offline")
    repository = hub_repository()
    published = published_versions(repository, name)
    chosen = version or max(published, key=version_numbers, default=None)
    if chosen is None or chosen not in published:
        versions = ", ".join(sorted(published, key=version_numbers)) or "none"
        raise NotAtHandError(f"the hub's repository {repository} does not have it (its versions: {versions})")
    folder = home() / name / chosen
    if chosen not in origins or origins[chosen].repository != repository:
        adopt(published[chosen], name, chosen, folder)
    return folder
