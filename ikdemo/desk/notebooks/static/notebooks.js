// What the desk adds to the notebooks of the learner's copy. The File menu and the command palette bring one back as this version
// delivers it, what was typed being kept as a backup, and show what was recorded. A notebook of another version says so. And
// where Run All ends at an exercise that is not done, the page goes there.
// Written by hand as the container that JupyterLab loads, so that nothing has to be built: `init` is handed the modules that
// JupyterLab shares, `get` returns a maker of our module. Installed as share/jupyter/labextensions/ikdemo-notebooks.
"use strict";
(() => {
  const RESET = "ikdemo:reset";
  const SHOW = "ikdemo:recorded";
  const BANNER = "recorded"; // the ID of the cell that a recorded notebook begins with
  const BACKUPS = "backups";
  let shared;

  const nameOf = (panel) => /^notebooks\/([^/]+)\.ipynb$/.exec(panel?.context.path)?.[1]; // only those of the copy have one
  const recordedOf = (panel) => `recorded/${nameOf(panel)}-recorded.ipynb`;

  function asDelivered(recorded) {
    const unlinked = (cell) => ({ ...cell, source: cell.source.replaceAll("](../notebooks/", "](") });
    const cleared = (cell) => (cell.cell_type === "code" ? { ...cell, outputs: [], execution_count: null } : unlinked(cell));
    return { ...recorded, cells: recorded.cells.filter((cell) => cell.id !== BANNER).map(cleared) };
  }

  // Nothing is changed before what was typed lies in two files.
  async function reset(app, panel, ui) {
    const question = `The notebook becomes as it was delivered. What you typed is kept in the folder ${BACKUPS}.`;
    const buttons = [ui.Dialog.cancelButton(), ui.Dialog.warnButton({ label: "Reset" })];
    const answer = await ui.showDialog({ title: `Reset ${nameOf(panel)}?`, body: question, buttons });
    if (!answer.button.accept) return;
    const contents = app.serviceManager.contents;
    try {
      const recorded = await contents.get(recordedOf(panel));
      if (panel.model.dirty) await panel.context.save();
      if (panel.model.dirty) throw new Error("What you typed could not be saved, so nothing was reset.");
      const backup = await contents.copy(panel.context.path, BACKUPS);
      panel.model.fromJSON(asDelivered(recorded.content));
      await panel.context.save();
      ui.Notification.success(`${nameOf(panel)} is as it was delivered. What you typed is in ${backup.path}`, { autoClose: false });
    } catch (error) {
      await ui.showErrorMessage(`${nameOf(panel)} was not reset`, `Nothing that you typed is lost. The server says: ${error.message}`);
    }
  }

  async function show(app, panel) {
    const kernelPreference = { shouldStart: false, canStart: false, autoStartDefault: false };
    const options = { mode: "tab-after", ref: panel.id };
    await app.commands.execute("docmanager:open", { path: recordedOf(panel), kernelPreference, options });
  }

  async function sayWhenOfAnotherVersion(app, panel, ui) {
    await panel.context.ready;
    const told = panel.model?.getMetadata("ikdemo");
    if (!nameOf(panel) || !told) return;
    const recorded = await app.serviceManager.contents.get(recordedOf(panel)).catch(() => undefined);
    if (!recorded || recorded.content.metadata.ikdemo.cells === told.cells) return;
    const said = `${nameOf(panel)} is from another version, with what you typed. Reset brings the new one, and keeps yours.`;
    const actions = [{ label: "Reset", callback: () => reset(app, panel, ui) }];
    ui.Notification.warning(said, { autoClose: false, actions }); // longer ones are cut off
  }

  function activate(ui, app, notebooks, menu, palette) {
    const current = () => notebooks.currentWidget;
    const isEnabled = () => Boolean(nameOf(current()));
    app.commands.addCommand(RESET, {
      label: "Reset This Notebook…",
      caption: "Bring the notebook back as it was delivered, and keep what was typed as a backup",
      isEnabled,
      execute: () => reset(app, current(), ui),
    });
    app.commands.addCommand(SHOW, {
      label: "Show the Recorded Result",
      caption: "Open this notebook with the outputs of another machine",
      isEnabled,
      execute: () => show(app, current()),
    });
    const commands = [{ command: RESET }, { command: SHOW }];
    menu?.fileMenu.addGroup(commands, 4);
    for (const { command } of commands) palette?.addItem({ command, category: "ikdemo" });
    notebooks.widgetAdded.connect((_, panel) => sayWhenOfAnotherVersion(app, panel, ui));
    notebooks.currentChanged.connect(() => app.commands.notifyCommandChanged());
  }

  // JupyterLab itself leaves the page at the last cell. What a kernel answers with is the name of a class in ikdemo/lab/teaching/progress.py.
  function goToTheExercise({ NotebookActions }) {
    NotebookActions.executed.connect((_, { notebook, cell, error }) => {
      if (error?.errorName !== "NotDone") return;
      notebook.activeCellIndex = notebook.widgets.indexOf(cell);
      notebook.mode = "command";
      notebook.scrollToCell(cell, "smart");
    });
  }

  async function load() {
    const shares = async (name) => (await Object.values(shared[name])[0].get())();
    const ui = await shares("@jupyterlab/apputils");
    const notebook = await shares("@jupyterlab/notebook");
    const { IMainMenu } = await shares("@jupyterlab/mainmenu");
    const copies = {
      id: "ikdemo-notebooks:copies",
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional: [IMainMenu, ui.ICommandPalette],
      activate: (...given) => activate(ui, ...given),
    };
    const exercises = { id: "ikdemo-notebooks:exercises", autoStart: true, activate: () => goToTheExercise(notebook) };
    return () => ({ __esModule: true, default: [copies, exercises] });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["ikdemo-notebooks"] = {
    init: (modules) => { shared = modules; },
    get: load,
  };
})();
