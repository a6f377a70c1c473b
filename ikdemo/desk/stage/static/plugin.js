// Brings live views into JupyterLab and Notebook 7. A front end chooses by MIME type: one without this plugin shows the widget in
// the cell, and one without widgets the picture. Only JupyterLab has room for a stage; elsewhere views stay in their cells.
import { STAGE } from "./live.js";
import { makeShown } from "./shown.js";
import { makeStage } from "./stage.js";

const COMMANDS = { go: "ikdemo-stage:go", lay: "ikdemo-stage:lay" };
const RANK = -20; // before the widget, which has -10

export function makePlugin(widgets, { ILabShell, ILayoutRestorer }, { INotebookTracker }, { IRenderMimeRegistry }) {
  const Shown = makeShown(widgets);
  const Stage = makeStage(widgets);

  function activate(app, common, notebooks, shell, restorer) {
    if (!notebooks) return;
    const stage = shell ? new Stage(shell, notebooks, common) : null;
    if (stage) {
      restorer?.add(stage, stage.id);
      app.commands.addCommand(COMMANDS.go, { label: "Go to the Stage", execute: () => stage.call(null) });
      app.commands.addCommand(COMMANDS.lay, { execute: ({ ref }) => stage.lay(ref) }); // for the card in the launcher
    }
    const receive = (panel) => {
      const factory = { safe: false, mimeTypes: [STAGE], createRenderer: () => new Shown(panel, common, stage) };
      panel.content.rendermime.addFactory(factory, RANK);
      stage?.receive(panel);
    };
    notebooks.forEach(receive);
    notebooks.widgetAdded.connect((_, panel) => receive(panel));
  }

  const optional = [INotebookTracker, ILabShell, ILayoutRestorer];
  return [{ id: "ikdemo-stage:plugin", autoStart: true, requires: [IRenderMimeRegistry], optional, activate }];
}
