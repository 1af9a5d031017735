"""Write the dashboard of a wandb project: two saved views.

Their panels stand in wotempo.tracking.dashboard_panels; a view of an earlier call is written over.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

from wotempo.command_line.entry import command
from wotempo.command_line.words import Option, folders_and_options
from wotempo.configs import values
from wotempo.errors import UserError
from wotempo.tracking.dashboard_panels import VIEWS, Panel, View
from wotempo.tracking.options import require_key

OPTIONS = (
    Option("project", "str", values("tracking/default")["project"], "of wandb"),
    Option("entity", "str", None, "user or team; else that of the key"),
    Option("dry_run", "bool", "false", "only print the dashboard; --dry-run is the same"),
)
STEP = "trainer/global_step"


def _panel(panel: Panel, grouped: bool) -> Any:
    from wandb_workspaces.reports.v2 import BarPlot, LinePlot, MediaBrowser

    if panel.kind == "pictures":
        return MediaBrowser(title=panel.title, media_keys=list(panel.names), num_columns=2)
    together: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"} if grouped else {}
    if panel.kind == "bars":
        return BarPlot(title=panel.title, metrics=list(panel.names), **together)
    of: dict[str, Any] = {"metric_regex": panel.names[0]} if panel.regex else {"y": list(panel.names)}
    return LinePlot(title=panel.title, x=STEP, log_y=panel.log or None, **of, **together)


def workspace(view: View, project: str, entity: str) -> Any:
    """A ``wandb_workspaces.workspaces.Workspace``, not yet saved."""
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws

    sections = [
        ws.Section(name=name, panels=[_panel(panel, view.grouped) for panel in panels], is_open=True)
        for name, panels in view.sections.items()
    ]
    latest_first = expr.Ordering(expr.Metric("CreatedTimestamp"), ascending=False)
    table = ws.RunsetSettings(order=[latest_first], pinned_columns=list(view.columns))
    if view.grouped:
        # Nothing follows from a run that was not accepted, and figures of different data do not compare.
        table.filters = expr.And(expr.Summary("verdict") == "accepted", expr.Metric("JobType") == "ablation")
        table.groupby = [expr.Config("facts.data"), expr.Config("variant")]
        table.order = [expr.Ordering(expr.Summary("test/pdms"), ascending=False)]
    made = ws.Workspace(entity=entity, project=project, name=view.title, sections=sections, runset_settings=table)
    made._internal_name = f"nw-{view.id}-v"  # as in the address of a view: …?nw=<id>
    return made


def save(view: View, project: str, entity: str) -> str:
    """Write the view, over the one of an earlier call -> its address."""
    from wandb_workspaces.workspaces import internal

    made = workspace(view, project, entity)
    try:
        made._internal_id = internal.get_view_dict(entity, project, view.id)["id"]
    except ValueError as error:
        if "Project" in str(error):
            raise UserError(
                f"wandb has no project {entity}/{project}, or your key may not see it: make wandb-sync first"
            ) from None
        # There is no such view yet: it is made.
    made.save()
    return made.url


def write(project: str, entity: str) -> None:
    """Both views. UserError where the service refuses."""
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    try:
        entity = entity or str(wandb.Api().default_entity)
        for view in VIEWS:
            print(f"{view.title}: {save(view, project, entity)}")
    except (wandb.Error, WandbApiFailedError) as error:
        raise UserError(f"wandb refused: {str(error).splitlines()[0]}; see 'wandb login', project=, entity=") from error


@command("", OPTIONS)
def main(arguments: list[str]) -> int:
    """-> the exit code."""
    _, given = folders_and_options(arguments, OPTIONS, takes_folders=False)
    project, entity = given["project"], given["entity"] or ""  # "": that of the key
    if find_spec("wandb_workspaces") is None:
        raise UserError("the dashboard needs wandb-workspaces: pip install -e '.[dashboard]'")
    if given["dry_run"]:
        models = [workspace(view, project, entity)._to_model() for view in VIEWS]
        specs = [model.model_dump(by_alias=True, exclude_none=True, mode="json") for model in models]
        print(json.dumps(specs, indent=1))
        return 0
    require_key("writing the dashboard", "say dry_run=true to print it")
    write(project, entity)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
