// A card in JupyterLab's launcher that lays the desk again: the first notebook beside two terminals.
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

  async function load() {
    const [version] = Object.values(shared["@jupyterlab/launcher"]);
    const { ILauncher } = (await version.get())();
    return () => ({ __esModule: true, default: { id: "ikdemo:launcher", autoStart: true, optional: [ILauncher], activate } });
  }

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB.ikdemo = {
    init: (modules) => { shared = modules; },
    get: load,
  };
})();
