// What the desk adds to JupyterLab: a card in the launcher that lays it again, the first notebook beside two terminals; and
// pictures in place of widgets whose kernel is gone.
// Written by hand as the container that JupyterLab loads, so that nothing has to be built: `init` is handed the modules that
// JupyterLab shares, `get` returns a maker of our module. Installed as share/jupyter/labextensions/ikdemo.
"use strict";
(() => {
  const NOTEBOOK = "notebooks/00-welcome.ipynb";
  const COMMAND = "ikdemo:desk";
  const CURVE = // the step curve of a recovery, as the card's picture
    "data:image/svg+xml," +
    encodeURIComponent(
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><path d="M3 13h12v22h18V13h12" fill="none" ' +
        'stroke="#0072B2" stroke-width="4"/><circle cx="33" cy="13" r="5" fill="#D55E00"/></svg>',
    );
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const STILL = "text/html";
  let shared;

  async function lay(app) {
    const notebook = await app.commands.execute("docmanager:open", { path: NOTEBOOK });
    const upper = await app.commands.execute("terminal:create-new");
    app.shell.add(upper, "main", { ref: notebook.id, mode: "split-right" });
    const lower = await app.commands.execute("terminal:create-new");
    app.shell.add(lower, "main", { ref: upper.id, mode: "split-bottom" });
    app.shell.activateById(notebook.id);
  }

  function activate(app, launcher) {
    app.commands.addCommand(COMMAND, {
      label: "Walk-through",
      caption: "Open the first notebook beside two terminals",
      execute: () => lay(app),
    });
    launcher?.add({ command: COMMAND, category: "Notebook", rank: 1, kernelIconUrl: CURVE });
  }

  function outputsOf(panel) {
    const areas = [...panel.model.cells].filter((cell) => cell.type === "code").map((cell) => cell.outputs);
    return areas.flatMap((area) => Array.from({ length: area.length }, (_, n) => area.get(n)));
  }

  // Buttons of a widget whose kernel is gone do nothing, and once the notebook was saved all that is left is "model not found".
  async function still(panel) {
    const shown = outputsOf(panel).filter((output) => VIEW in output.data && STILL in output.data);
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel || shown.length === 0) return;
    const { comms } = (await kernel.requestCommInfo({ target_name: "jupyter.widget" })).content;
    for (const output of shown) {
      const { [VIEW]: widget, ...data } = output.data;
      if (widget && !(widget.model_id in comms)) output.setData({ data });
    }
  }

  function keepStill(app, notebooks) {
    notebooks.widgetAdded.connect((_, panel) => {
      let restarted = true; // or opened
      panel.sessionContext.statusChanged.connect((_, status) => {
        restarted ||= status.endsWith("restarting");
        if (restarted && status === "idle") {
          restarted = false;
          still(panel);
        }
      });
    });
  }

  async function load() {
    const token = async (name) => (await Object.values(shared[name])[0].get())();
    const { ILauncher } = await token("@jupyterlab/launcher");
    const { INotebookTracker } = await token("@jupyterlab/notebook");
    const card = { id: "ikdemo:launcher", autoStart: true, optional: [ILauncher], activate };
    const pictures = { id: "ikdemo:pictures", autoStart: true, requires: [INotebookTracker], activate: keepStill };
    return () => ({ __esModule: true, default: [card, pictures] });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB.ikdemo = {
    init: (modules) => { shared = modules; },
    get: load,
  };
})();
