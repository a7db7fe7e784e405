"""KEY=VALUE on the command line: assignments in place of those of the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from hpo.errors import Complaints, did_you_mean
from hpo.inputfile.assignments import Assignment
from hpo.inputfile.keywords import SPELLINGS

_SECTION = r"(?:(?P<section>control|default_model|param_space)\.)?"
_OVERRIDE = re.compile(_SECTION + r"(?P<key>[^\s=]+)\s*=(?P<text>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class Overrides:
    """The command line's assignments, the last of each name.

    control: to keywords, named as ``control.KEY`` or by a KEY that only &control can have, by canonical name.
    default_model: to hyperparameters, named as ``default_model.KEY``. bare: to KEYs that are no keywords.
    shared: the control assignments that were written without ``control.``.
    """

    control: dict[str, Assignment] = field(default_factory=dict)
    default_model: dict[str, Assignment] = field(default_factory=dict)
    bare: dict[str, Assignment] = field(default_factory=dict)
    shared: list[Assignment] = field(default_factory=list)

    def check(self, defaults: Collection[str], parameters: Collection[str], complaints: Complaints) -> None:
        """Complain of names that belong to both sections or to none.

        defaults: the keys of &default_model. parameters: the names that the search varies; ``default_model.NAME`` may
        give these a default for a single run.
        """
        for each in self.shared:
            if each.key in defaults:
                ways = f"control.{each.target}= or default_model.{each.target}="
                complaints.error(f"{each.target}={each.text}: both &control and &default_model have it; write {ways}")
        for name, each in self.bare.items():
            if name in parameters and name not in defaults:
                message = f"'{name}' is a parameter of the search; as a default, for single runs, write"
                complaints.error(f"{name}={each.text}: {message} default_model.{name}={each.text}")
            elif name not in defaults:
                near = did_you_mean(name, [*SPELLINGS, *defaults])
                complaints.error(f"{name}={each.text}: neither &control nor &default_model has '{name}'.{near}")
        known = {*defaults, *parameters}
        for name, each in self.default_model.items():
            near = "" if name in known else did_you_mean(name, known)
            if near:
                complaints.error(f"default_model.{name}={each.text}: &default_model has no '{name}'.{near}")


def parse(arguments: Iterable[str], complaints: Complaints) -> Overrides:
    """Sort KEY=VALUE arguments by where they belong."""
    found = Overrides()
    for argument in arguments:
        match = _OVERRIDE.fullmatch(argument.strip())
        if match is None:
            complaints.error(f"'{argument}': expected KEY=VALUE, such as nworkers=4 or default_model.epochs=1")
            continue
        section, key = (match["section"] or "").lower(), match["key"]
        assignment = Assignment(key, match["text"].strip(), None)
        if section == "param_space":
            message = "&param_space cannot be overridden here; change it in the file, or name another by"
            complaints.error(f"{argument}: {message} param_space_file=FILE")
        elif section == "default_model":
            found.default_model[key] = assignment
        elif section == "control" or key.casefold() in SPELLINGS:
            row = SPELLINGS.get(key.casefold())
            found.control[row.name if row else key] = assignment
            found.shared += [] if section else [assignment]
        else:
            found.bare[key] = assignment
    return found
