// What the desk adds to JupyterLab: a card in the launcher that lays it again, the first notebook beside the stage and two terminals.
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
  let shared;

  async function lay(app) {
    const notebook = await app.commands.execute("docmanager:open", { path: NOTEBOOK });
    const stage = await app.commands.execute("ikdemo-stage:lay", { ref: notebook.id });
    const upper = await app.commands.execute("terminal:create-new");
    app.shell.add(upper, "main", { ref: stage.id, mode: "split-bottom" });
    const lower = await app.commands.execute("terminal:create-new");
    app.shell.add(lower, "main", { ref: upper.id, mode: "tab-after", activate: false });
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

  async function load() {
    const token = async (name) => (await Object.values(shared[name])[0].get())();
    const { ILauncher } = await token("@jupyterlab/launcher");
    const card = { id: "ikdemo:launcher", autoStart: true, optional: [ILauncher], activate };
    return () => ({ __esModule: true, default: [card] });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB.ikdemo = {
    init: (modules) => { shared = modules; },
    get: load,
  };
})();
